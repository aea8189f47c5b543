import numpy as np
import pytest
from PIL import ImageFont

from judged import blue, report
from sfumato.evaluation.grid import CELL, draw_grid, wrapped
from sfumato.evaluation.prompts import SECTIONS
from sfumato.evaluation.report import Sample

GREEN, RED, BLUE = (22, 128, 60), (200, 40, 40), (10, 40, 250)


def _count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == np.array(colour)).all(axis=2).sum())


def test_a_sheet_shows_pictures_with_green_and_red_frames() -> None:
    samples = report().samples
    pixels = np.asarray(draw_grid(samples, columns=4, rows=1))
    shown = 4 * len(SECTIONS)
    assert _count(pixels, BLUE) == shown * CELL * CELL
    frame = (CELL + 6) ** 2 - CELL**2
    assert _count(pixels, GREEN) >= shown // 2 * frame
    assert _count(pixels, RED) >= shown // 2 * frame


def test_a_sheet_is_as_large_as_its_pictures_need() -> None:
    samples = report().samples[:5]
    one, two = draw_grid(samples, columns=5), draw_grid(samples, columns=3)
    assert one.width > two.width
    assert two.height > one.height
    assert draw_grid(samples, columns=5).tobytes() == one.tobytes()


def test_pictures_that_are_not_square_fit_their_place() -> None:
    judgement = report().judgements[0]
    pixels = np.asarray(draw_grid([Sample(judgement, blue(32, 64))], columns=1))
    assert _count(pixels, BLUE) == CELL * CELL // 2


def test_no_samples_no_sheet() -> None:
    with pytest.raises(ValueError, match="needs pictures"):
        draw_grid([])


def test_text_is_broken_at_spaces_and_cut_with_dots() -> None:
    font = ImageFont.load_default(10)
    prompt = "a black and white photo of a birthday cake to the left of a cup of coffee in the mountains"
    whole = wrapped(prompt, font, 134, 9)
    assert " ".join(whole) == prompt
    assert all(font.getlength(line) <= 134 for line in whole)
    cut = wrapped(prompt, font, 134, 2)
    assert len(cut) == 2
    assert cut[1].endswith("...")
    assert font.getlength(cut[1]) <= 134
    (word,) = wrapped("x" * 500, font, 134, 3)
    assert word.endswith("...")
    assert font.getlength(word) <= 134
    assert wrapped("", font, 134, 2) == [""]
