import numpy as np
import pytest
from PIL import Image

from edit_desk import desk, rendered
from judged import needs_font
from sfumato.evaluation.edits import upscale
from sfumato.evaluation.edits.upscale import BEST, CLEAN, DECODED, GAIN, LANCZOS
from sfumato.scenes.scene import Scene


def test_decibels_are_those_of_the_error() -> None:
    black, grey = (Image.new("RGB", (8, 8), (level, level, level)) for level in (0, 51))
    assert upscale.psnr(black, grey) == pytest.approx(20 * np.log10(5))
    assert upscale.psnr(grey, grey) == BEST
    found = upscale.values(CLEAN, grey, black, grey)
    assert found[CLEAN + GAIN] == pytest.approx(found[CLEAN] - found[CLEAN + LANCZOS])
    assert found[CLEAN] == BEST


@needs_font
def test_the_autoencoder_makes_a_picture_softer_and_leaves_it_the_same() -> None:
    picture = rendered(Scene(("frog",), "beach"))
    again = upscale.round_trip(desk(), picture)
    assert again.shape == picture.shape
    assert 22 < upscale.psnr(Image.fromarray(again), Image.fromarray(picture)) < 45


@needs_font
def test_the_bundled_network_beats_lanczos_on_a_clean_scene() -> None:
    (case,) = upscale.cases(desk(), 1)
    assert {one.pixels.shape for one in case.pictures} == {(512, 512, 3)}
    assert case.values[CLEAN + GAIN] > 1
    assert case.values[DECODED] < case.values[CLEAN]
