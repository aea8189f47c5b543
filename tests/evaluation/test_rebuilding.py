import numpy as np
import pytest

from edit_desk import desk, rendered
from judged import blue, needs_font
from sfumato.evaluation.rebuilding import BEST, psnr, round_trip
from sfumato.models.load import find_model, load
from sfumato.scenes.scene import Scene
from tiny_models import tiny_folder, tiny_settings


def test_decibels_are_those_of_the_error() -> None:
    black, grey = (np.full((8, 8, 3), level, np.uint8) for level in (0, 51))
    assert psnr(black, grey) == psnr(grey, black) == pytest.approx(20 * np.log10(5))
    assert psnr(grey, grey) == BEST


@needs_font
def test_the_autoencoder_makes_a_picture_softer_and_leaves_it_the_same() -> None:
    picture = rendered(Scene(("frog",), "beach"))
    again = round_trip(desk().bundle, picture)
    assert (again.shape, again.dtype) == (picture.shape, np.uint8)
    assert 22 < psnr(again, picture) < 45


def test_any_size_that_the_model_can_divide_will_do() -> None:
    settings = tiny_settings()
    bundle = load(find_model(str(tiny_folder()), settings), settings)
    assert round_trip(bundle, blue(64, 96)).shape == (64, 96, 3)
