import numpy as np
import pytest

from sfumato.evaluation.edits.sheet import draw_edits
from sfumato.evaluation.edits.task import Case, Shown

RED, BLUE = (200, 10, 10), (10, 10, 200)


def case(side: int, group: str = "") -> Case:
    shown = [
        Shown(label, np.full((side, side, 3), colour, np.uint8))
        for label, colour in (("before", RED), ("after", BLUE))
    ]
    return Case("a frog on a beach", {}, tuple(shown), group)


def test_pictures_stand_side_by_side_at_their_size() -> None:
    sheet = np.asarray(draw_edits([case(128)] * 5, width=600))
    assert sheet.shape[1] == 12 + 2 * (260 + 12)
    assert sheet.shape[0] > 3 * 128
    assert (sheet == RED).all(axis=-1).sum() == (sheet == BLUE).all(axis=-1).sum() == 5 * 128 * 128
    rows, columns = np.nonzero((sheet == RED).all(axis=-1))
    other = np.nonzero((sheet == BLUE).all(axis=-1))
    assert rows.min() == other[0].min()
    assert columns.min() + 128 < other[1].max()


def test_small_pictures_are_shown_large_and_large_ones_at_half_of_their_size() -> None:
    small, large = (np.asarray(draw_edits([case(side)])) for side in (64, 512))
    assert (small == RED).all(axis=-1).sum() == 128 * 128
    assert (large == RED).all(axis=-1).sum() == 256 * 256


def test_the_group_stands_behind_the_prompt() -> None:
    assert (np.asarray(draw_edits([case(64)])) != np.asarray(draw_edits([case(64, "ddim")]))).any()


def test_without_pictures_there_is_no_sheet() -> None:
    with pytest.raises(ValueError, match="needs pictures"):
        draw_edits([Case("a frog", {})])
