"""Encoding and decoding in overlapping tiles, so that large pictures fit a memory limit.

A tile does not see what lies around it: convolutions meet its border, and group norms and the attention of
the middle block work on its statistics instead of the picture's. The blend hides seams, not a shift in tone,
so tiles are an approximation and used only where the whole does not fit.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.imaging.tiles import Tiling, blend, plan
from sfumato.models.backends.base import Array, Backend
from sfumato.models.network_files import Config

OVERLAP: Final = 8  # latents that neighbours share
SMALLEST: Final = 16  # side of the smallest tile in latents: below it a tile is mostly overlap

# Of pictures beyond a model's own size, tiles of so many latents a side, or of the model's size: all passes
# of a drawing meet the same shape, of which a compiled backend keeps a graph and its memory.
ALIKE: Final = 32
TINY: Final = 64 * 64  # latents that a tiny decoder takes at once

# What decoding takes beside the weights: float32 numbers per pixel and per channel of the second level (the
# widest thing at full size), and buffers of fixed size.
NUMBERS_PER_CHANNEL: Final = 5
FIXED_BYTES: Final = 96_000_000


def latents_within(num_bytes: int, vae: Config) -> int:
    """Return how many latents (h * w) the decoder of an AutoencoderKL's config `vae` can decode at once in
    `num_bytes` of memory beside its weights, in float32; at least those of the smallest tile.

    Encoding takes less, and bfloat16 half. The estimate was at or above the resident memory measured on a CPU
    with torch and with openvino at every size tried: Stable Diffusion 1's autoencoder from 128x128 to
    512x512, the bundled model's from 128x128 to 768x768.
    """
    widths = vae["block_out_channels"]
    pixels = 4 ** (len(widths) - 1)
    latent = pixels * widths[min(1, len(widths) - 1)] * NUMBERS_PER_CHANNEL * 4
    return max(SMALLEST * SMALLEST, int((num_bytes - FIXED_BYTES) / latent))


def decode(backend: Backend, latents: Array, downsample: int, max_latents: int | None) -> NDArray[np.float32]:
    """Return what `backend.decode` makes of scaled latents `(B,C,h,w)`, with at most `max_latents` of them
    (rows * h * w) in one call, or a smallest tile; None for no limit.

    That is exactly `backend.decode(latents)` where they fit at once, and row by row where one row does.
    """
    rows, _, height, width = latents.shape
    if max_latents is None or rows * height * width <= max_latents:
        return backend.decode(latents)
    tiling = tiles_within(height, width, max_latents)

    def parts(row: int) -> Iterator[NDArray[np.float32]]:
        for tile in tiling.tiles():
            yield backend.decode(latents[(slice(row, row + 1), slice(None), *tile.place)])

    return np.concatenate([blend(tiling.scaled(downsample), parts(row)) for row in range(rows)])


def decode_bands(
    backend: Backend, latents: Array, downsample: int, small: Tiling
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield what `decode` makes of one latent `(1,C,h,w)` in the tiles `small`, from top to bottom: rows of
    the picture, and their pixels `(3,H,W)`. No more than one row of tiles is in memory at a time.
    """
    if len(small.tops) == len(small.lefts) == 1:
        pixels = backend.decode(latents)[0]
        yield slice(0, pixels.shape[1]), pixels
        return
    large = small.scaled(downsample)
    band = np.zeros((3, large.tile_height, large.width), np.float32)
    columns = len(large.lefts)
    parts = zip(small.tiles(), large.tiles(), large.weights(), strict=True)
    for number, (tile, placed, weight) in enumerate(parts, start=1):
        part = backend.decode(latents[(slice(None), slice(None), *tile.place)])[0]
        band[:, :, placed.left : placed.left + placed.width] += part * weight
        if number % columns:
            continue
        row = number // columns
        end = large.tops[row] if row < len(large.tops) else large.height
        done = end - placed.top
        yield slice(placed.top, end), band[:, :done]
        kept = large.tile_height - done
        band[:, :kept] = band[:, done:].copy()
        band[:, kept:] = 0


def decode_tiny(backend: Backend, latents: Array) -> NDArray[np.float32]:
    """Return what `backend.decode_tiny` makes of one latent `(1,C,h,w)`, in tiles where it is large."""
    _, _, height, width = latents.shape
    if height * width <= TINY:
        return backend.decode_tiny(latents)
    tiling = tiles_within(height, width, TINY)
    parts = (backend.decode_tiny(latents[(slice(None), slice(None), *tile.place)]) for tile in tiling.tiles())
    first = next(parts)
    return blend(tiling.scaled(first.shape[-1] // tiling.tile_width), chain([first], parts))


def tiles_alike(height: int, width: int, own: int, max_latents: int | None) -> Tiling:
    """Return tiles over `height` x `width` latents that are all of one shape whatever there is to cover,
    unless it is smaller: ALIKE a side, or `own`, the model's own, and none larger than `max_latents`.
    """
    side = max(ALIKE, own)
    if max_latents is not None:
        side = max(SMALLEST, min(side, math.isqrt(max_latents)))
    return plan(height, width, side, side, OVERLAP)


def encode(backend: Backend, pixels: NDArray[np.float32], downsample: int, max_latents: int | None) -> Array:
    """Return what `backend.encode_image` makes of `pixels (B,3,H,W)`: as `decode`, the other way. H and W
    are multiples of `downsample`, the pixels that one latent spans per side.
    """
    rows, _, height, width = pixels.shape
    if max_latents is None or rows * height * width <= max_latents * downsample**2:
        return backend.encode_image(pixels)
    tiling = tiles_within(height // downsample, width // downsample, max_latents)

    def parts(row: int) -> Iterator[NDArray[np.float32]]:
        for tile in tiling.scaled(downsample).tiles():
            part = pixels[(slice(row, row + 1), slice(None), *tile.place)]
            yield backend.to_numpy(backend.encode_image(np.ascontiguousarray(part)))

    return backend.asarray(np.concatenate([blend(tiling, parts(row)) for row in range(rows)]))


def encode_pixels(backend: Backend, pixels: NDArray[np.uint8], downsample: int, small: Tiling) -> Array:
    """Return what `backend.encode_image` makes of one picture `(H,W,3)` of bytes in the tiles `small` over
    its latents; one of them at a time is turned into numbers.
    """

    def part(rows: slice, columns: slice) -> NDArray[np.float32]:
        numbers = np.moveaxis(pixels[rows, columns].astype(np.float32) / 127.5 - 1, -1, 0)
        return backend.to_numpy(backend.encode_image(np.ascontiguousarray(numbers[None])))

    return backend.asarray(blend(small, (part(*tile.place) for tile in small.scaled(downsample).tiles())))


def tile_within(height: int, width: int, max_latents: int | None) -> tuple[int, int] | None:
    """Return the height and width of the tiles that `decode` works in; None when it takes all at once."""
    if max_latents is None or height * width <= max_latents:
        return None
    tiling = tiles_within(height, width, max_latents)
    return tiling.tile_height, tiling.tile_width


def tiles_within(height: int, width: int, max_latents: int) -> Tiling:
    """Return tiles over `height` x `width` latents, none larger than `max_latents` or than the smallest
    tile; a single one when all of it fits.

    They are as square as the picture lets them, and no larger than their number asks for.
    """
    if height * width <= max_latents:
        return plan(height, width, height, width, 0)
    side = max(SMALLEST, math.isqrt(max_latents))
    tile_height = min(height, side)
    tile_width = min(width, max(side, max_latents // tile_height))
    tile_height = min(height, max(side, max_latents // tile_width))
    return plan(height, width, _no_larger(height, tile_height), _no_larger(width, tile_width), OVERLAP)


def _no_larger(size: int, tile: int) -> int:
    """Return the side of the smallest tiles that cover `size` in as many as `tile` needs."""
    if size <= tile:
        return size
    number = math.ceil((size - OVERLAP) / (tile - OVERLAP))
    return math.ceil((size + (number - 1) * OVERLAP) / number)
