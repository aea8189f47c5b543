"""Previews: cheap, the right size, and like the picture."""

import shutil
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recording import Recorder
from sfumato.engine.events import StepDone
from sfumato.engine.preview import (
    LinearPreviewer,
    Pace,
    TinyPreviewer,
    fit_previewer,
    previewer_of,
    to_uint8,
)
from sfumato.engine.run import draw
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_folder, tiny_settings, write_tiny_decoder


class PlainDecoder(Recorder):
    """A real backend whose decoder paints every latent in one colour."""

    def asarray(self, a: NDArray[np.float32]) -> NDArray[np.float32]:
        return a

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        matrix = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32) * np.float32(0.2)
        colours = np.einsum("bchw,cd->bdhw", latents, matrix) + np.float32(0.1)
        return colours.repeat(8, axis=2).repeat(8, axis=3)


def test_bytes_are_rounded_and_clipped() -> None:
    pixels = np.array([-2.0, -1.0, 0.0, 1.0, 3.0, -1 + 2 * 100.4 / 255])
    assert to_uint8(pixels).tolist() == [0, 0, 128, 255, 255, 100]


def test_a_preview_is_a_linear_map_of_every_latent() -> None:
    matrix = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    show = LinearPreviewer(matrix, np.array([0, 0, -1], np.float32), 8)
    x0 = np.zeros((1, 2, 3, 5), np.float32)
    x0[0, 0, 1, 2] = 1
    picture = show(x0)
    assert picture.shape == (1, 24, 40, 3)
    assert (picture[0, 8:16, 16:24] == (255, 128, 0)).all()
    assert (picture[0, :8] == (128, 128, 0)).all()


def test_the_fit_finds_the_colours_of_a_decoder_that_is_linear() -> None:
    tiny = tiny_bundle()
    backend = PlainDecoder(tiny.backend)
    show = fit_previewer(backend, 4, 8)
    x0 = np.random.default_rng(5).standard_normal((4, 4, 8, 8)).astype(np.float32)
    decoded = to_uint8(np.moveaxis(backend.decode(x0), 1, -1))
    assert np.abs(show(x0).astype(int) - decoded.astype(int)).max() <= 1


def test_the_fit_is_always_the_same() -> None:
    bundle = tiny_bundle()
    first, second = (fit_previewer(bundle.backend, 4, 8) for _ in range(2))
    assert np.array_equal(first.matrix, second.matrix)
    assert np.array_equal(first.offset, second.offset)


def test_a_model_without_a_tiny_decoder_is_previewed_by_its_colours() -> None:
    bundle = tiny_bundle()
    assert not bundle.backend.has_tiny_decoder
    assert isinstance(previewer_of(bundle.backend, 4, 8), LinearPreviewer)


def test_a_tiny_decoder_is_used_where_there_is_one(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))
    write_tiny_decoder(folder / "taesd")
    backend = load_bundle(str(folder), tiny_settings()).backend
    show = previewer_of(backend, 4, 8)
    assert isinstance(show, TinyPreviewer)
    x0 = np.random.default_rng(5).standard_normal((3, 4, 8, 6)).astype(np.float32)
    pictures = show(x0)
    assert pictures.shape == (3, 64, 48, 3)
    assert pictures.dtype == np.uint8
    expected = to_uint8(np.moveaxis(backend.decode_tiny(backend.asarray(x0)), 1, -1))
    assert np.abs(pictures.astype(int) - expected.astype(int)).max() <= 1


def test_previews_that_come_too_soon_are_left_out() -> None:
    assert [Pace(3).is_due(step) for step in (1, 2, 3, 4, 6)] == [False, False, True, False, True]
    assert not Pace(0).is_due(1)
    paced = Pace(1, pause=0.001)
    assert not Pace(1, pause=60.0).is_due(1)  # also of the beginning
    time.sleep(0.002)
    assert paced.is_due(1)
    with paced:
        time.sleep(0.05)
    # What takes long is not done often, however short the pause.
    time.sleep(0.01)
    assert not paced.is_due(2)


def test_a_drawing_that_is_quick_has_no_previews_where_they_are_paced() -> None:
    bundle = tiny_bundle()
    recipe = resolve(Recipe(parts=(TextPart(prompt="a frog"),), steps=2, seed=7), bundle.defaults)

    def shown(pause: float) -> int:
        events = draw(recipe, bundle, preview_every=1, preview_pause=pause)
        return sum(isinstance(one, StepDone) and one.preview is not None for one in events)

    assert (shown(0.0), shown(3600.0)) == (2, 0)
