"""Tiled encoding and decoding: exact where nothing has to be cut, bounded where something has."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recording import Recorder
from sfumato.models.tiling import (
    ALIKE,
    OVERLAP,
    SMALLEST,
    TINY,
    decode,
    decode_bands,
    decode_tiny,
    encode,
    encode_pixels,
    latents_within,
    tile_within,
    tiles_alike,
    tiles_within,
)
from tiny_models import tiny_bundle

SD = {"block_out_channels": [128, 256, 512, 512]}
BUNDLED = {"block_out_channels": [24, 48, 96, 128]}


@dataclass(eq=False)
class Local(Recorder):
    """A backend whose decoder paints every latent by itself, and whose encoder undoes that; keeps the shapes
    it was given."""

    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def asarray(self, a: NDArray[np.float32]) -> NDArray[np.float32]:
        return a

    def to_numpy(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return x

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(latents.shape)
        return latents[:, :3].repeat(8, axis=2).repeat(8, axis=3)

    def encode_image(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(pixels.shape)
        return pixels[:, :, ::8, ::8]


def local() -> Local:
    return Local(tiny_bundle().backend)


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("max_latents", [None, 2 * 12 * 20, 10_000])
def test_what_fits_goes_through_the_backend_as_it_is(max_latents: int | None) -> None:
    bundle = tiny_bundle()
    latents = bundle.backend.asarray(normal(2, 4, 12, 20))
    pixels = bundle.backend.decode(latents)
    assert np.array_equal(decode(bundle.backend, latents, 8, max_latents), pixels)
    again = bundle.backend.to_numpy(encode(bundle.backend, pixels, 8, max_latents))
    assert np.array_equal(again, bundle.backend.to_numpy(bundle.backend.encode_image(pixels)))


def test_rows_that_fit_alone_are_decoded_alone_and_whole() -> None:
    bundle = tiny_bundle()
    latents = bundle.backend.asarray(normal(2, 4, 12, 20))
    alone = [bundle.backend.decode(latents[row : row + 1]) for row in range(2)]
    assert np.array_equal(decode(bundle.backend, latents, 8, 12 * 20), np.concatenate(alone))


@pytest.mark.parametrize(("height", "width"), [(48, 48), (40, 17), (17, 90), (100, 16)])
def test_a_local_decoder_is_not_changed_by_tiles(height: int, width: int) -> None:
    latents = normal(2, 4, height, width)
    backend = local()
    pixels = decode(backend, latents, 8, 600)
    assert np.abs(pixels - local().decode(latents)).max() < 1e-5
    assert all(rows == 1 and high * wide <= 600 for rows, _, high, wide in backend.shapes)
    assert len(set(backend.shapes)) == 1  # one size, so one compiled graph
    backend = local()
    assert np.abs(encode(backend, pixels, 8, 600) - latents[:, :3]).max() < 1e-5
    assert all(high * wide <= 600 * 64 for _, _, high, wide in backend.shapes)


def test_tiles_of_real_networks_are_near_the_whole() -> None:
    backend = tiny_bundle().backend
    latents = backend.asarray(normal(1, 4, 40, 40))
    whole = backend.decode(latents)
    tiled = decode(backend, latents, 8, 24 * 24)
    assert tiled.shape == whole.shape
    error = np.square(tiled - whole).mean()
    assert 0 < error < 0.03 * np.square(whole).mean()
    encoded = backend.to_numpy(encode(backend, whole, 8, 24 * 24))
    exact = backend.to_numpy(backend.encode_image(whole))
    assert encoded.shape == exact.shape
    assert 0 < np.square(encoded - exact).mean() < 0.05 * np.square(exact).mean()


def test_tiles_leave_no_seams() -> None:
    """What tiles change does not jump at their edges more than it does anywhere else."""
    backend = tiny_bundle().backend
    latents = backend.asarray(normal(1, 4, 40, 40))
    change = decode(backend, latents, 8, 24 * 24) - backend.decode(latents)
    tiling = tiles_within(40, 40, 24 * 24).scaled(8)
    assert tiling.tops == tiling.lefts == (0, 128)
    for axis in (2, 3):
        jumps = np.abs(np.diff(change, axis=axis)).mean(axis=tuple({0, 1, 2, 3} - {axis}))
        for edge in (128, tiling.tile_width):
            assert jumps[edge - 1] < 2 * np.median(jumps)


def test_the_size_of_a_tile_is_what_the_decoder_gets() -> None:
    backend = local()
    decode(backend, normal(1, 4, 40, 90), 8, 600)
    assert {shape[2:] for shape in backend.shapes} == {tile_within(40, 90, 600)}
    assert tile_within(40, 90, 3600) is tile_within(40, 90, None) is None


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 5000))
@settings(deadline=None)
def test_tiles_keep_to_the_bound_and_waste_little(height: int, width: int, most: int) -> None:
    tiling = tiles_within(height, width, most)
    tiles = tiling.tiles()
    if height * width <= most:
        assert len(tiles) == 1
    area = tiling.tile_height * tiling.tile_width
    assert area <= max(most, SMALLEST * SMALLEST)
    for starts, tile, size in (
        (tiling.tops, tiling.tile_height, height),
        (tiling.lefts, tiling.tile_width, width),
    ):
        assert (starts[0], starts[-1] + tile) == (0, size)
        for first, second in itertools.pairwise(starts):
            assert OVERLAP <= first + tile - second <= OVERLAP + 2  # rounding; never half a tile


def test_memory_is_turned_into_latents() -> None:
    # Measured on a CPU in float32: what one decode took at most beside weights and libraries, with torch or
    # openvino, whichever took more.
    for vae, side, measured in (
        (SD, 128, 112e6),
        (SD, 256, 311e6),
        (SD, 384, 619e6),
        (SD, 512, 1228e6),
        (BUNDLED, 128, 34e6),
        (BUNDLED, 384, 213e6),
        (BUNDLED, 768, 567e6),
    ):
        assert latents_within(int(measured), vae) <= max(SMALLEST**2, (side // 8) ** 2)
    assert latents_within(2**30, SD) == pytest.approx(55**2, rel=0.1)
    assert latents_within(0, SD) == SMALLEST**2


def test_an_autoencoder_of_one_level_has_a_bound_too() -> None:
    assert latents_within(2**30, {"block_out_channels": [64]}) > 100_000


@pytest.mark.parametrize(("height", "width"), [(12, 20), (40, 40), (33, 90), (100, 32)])
def test_bands_are_the_picture_from_top_to_bottom(height: int, width: int) -> None:
    backend, latents = local(), normal(1, 4, height, width)
    tiles = tiles_alike(height, width, 16, None)
    rows = 0
    for place, band in decode_bands(backend, latents, 8, tiles):
        assert place.start == rows
        assert np.allclose(band, latents[0, :3].repeat(8, axis=1).repeat(8, axis=2)[:, place], atol=1e-5)
        rows = place.stop
    assert rows == 8 * height
    assert {shape[2:] for shape in backend.shapes} == {(tiles.tile_height, tiles.tile_width)}


def test_one_tile_is_what_the_backend_decodes() -> None:
    bundle = tiny_bundle()
    latents = bundle.backend.asarray(normal(1, 4, 6, 5))
    ((place, band),) = decode_bands(bundle.backend, latents, 8, tiles_within(6, 5, 30))
    assert place == slice(0, 48)
    assert np.array_equal(band, bundle.backend.decode(latents)[0])


def test_tiles_alike_have_one_shape_whatever_they_cover() -> None:
    sides = {tiles_alike(side, side, 16, None).tile_height for side in (ALIKE, 33, 64, 100, 256)}
    assert sides == {ALIKE}
    assert tiles_alike(20, 50, 16, None).tile_height == 20
    assert tiles_alike(100, 100, 64, None).tile_height == 64  # of a model whose own size is larger
    assert tiles_alike(100, 100, 64, 24 * 24).tile_height == 24
    assert tiles_alike(100, 100, 64, 1).tile_height == SMALLEST


def test_pixels_are_encoded_tile_by_tile() -> None:
    backend = local()
    pixels = np.random.default_rng(0).integers(0, 255, (8 * 40, 8 * 50, 3), np.uint8)
    made = encode_pixels(backend, pixels, 8, tiles_alike(40, 50, 16, None))
    assert np.allclose(made, np.moveaxis(pixels[::8, ::8] / 127.5 - 1, -1, 0)[None], atol=1e-5)
    assert {shape for shape in backend.shapes} == {(1, 3, 8 * ALIKE, 8 * ALIKE)}


def test_pixels_of_one_tile_are_encoded_as_they_are() -> None:
    bundle = tiny_bundle()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 40, 3), np.uint8)
    numbers = np.moveaxis(pixels.astype(np.float32) / 127.5 - 1, -1, 0)[None]
    whole = bundle.backend.encode_image(np.ascontiguousarray(numbers))
    made = encode_pixels(bundle.backend, pixels, 8, tiles_alike(6, 5, 8, None))
    assert np.array_equal(bundle.backend.to_numpy(made), bundle.backend.to_numpy(whole))


@dataclass(eq=False)
class Quick(Local):
    """Its tiny decoder does what its decoder does."""

    def decode_tiny(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.decode(latents)


@pytest.mark.parametrize(("height", "width"), [(20, 30), (90, 70)])
def test_a_tiny_decoder_takes_large_pictures_in_tiles(height: int, width: int) -> None:
    backend, latents = Quick(tiny_bundle().backend), normal(1, 4, height, width)
    made = decode_tiny(backend, latents)
    assert np.allclose(made, latents[:, :3].repeat(8, axis=2).repeat(8, axis=3), atol=1e-5)
    assert max(shape[2] * shape[3] for shape in backend.shapes) <= TINY
