import pytest
from PIL import Image

from edit_desk import desk
from judged import needs_font
from sfumato.evaluation.edits import upscale
from sfumato.evaluation.edits.upscale import CLEAN, DECODED, GAIN, LANCZOS
from sfumato.evaluation.rebuilding import BEST


def test_a_gain_is_the_difference_to_lanczos() -> None:
    black, grey = (Image.new("RGB", (8, 8), (level, level, level)) for level in (0, 51))
    found = upscale.values(CLEAN, grey, black, grey)
    assert found[CLEAN + GAIN] == pytest.approx(found[CLEAN] - found[CLEAN + LANCZOS])
    assert found[CLEAN] == BEST


@needs_font
def test_the_bundled_network_beats_lanczos_on_a_clean_scene() -> None:
    (case,) = upscale.cases(desk(), 1)
    assert {one.pixels.shape for one in case.pictures} == {(512, 512, 3)}
    assert case.values[CLEAN + GAIN] > 1
    assert case.values[DECODED] < case.values[CLEAN]
