import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sfumato.evaluation.outlines import Overlap, near, overlap
from sfumato.imaging.annotators import edges

Pixels = NDArray[np.uint8]


def box(left: int, side: int = 60) -> Pixels:
    """A white square on black, its left edge at `left`."""
    image = Image.new("RGB", (128, 128))
    ImageDraw.Draw(image).rectangle((left, 30, left + side, 30 + side), fill=(255, 255, 255))
    return np.asarray(image)


def test_a_picture_follows_its_own_edges() -> None:
    assert overlap(box(30), edges(box(30)), 0) == Overlap(1.0, 1.0)
    assert overlap(box(30), edges(box(30))).f1 == 1.0


def test_two_pixels_beside_the_line_is_near_and_three_is_not() -> None:
    assert overlap(box(32), edges(box(30))).f1 == 1.0
    far = overlap(box(33), edges(box(30)))
    # Top and bottom still lie on each other, the two sides no more.
    assert 0.45 < far.f1 < 0.6
    assert overlap(box(33), edges(box(30)), 3).f1 == 1.0


def test_precision_is_of_the_picture_and_recall_of_the_hint() -> None:
    half = edges(box(30)).copy()
    half[:, 60:] = False
    found = overlap(box(30), half)
    assert found.recall == 1.0
    assert 0.4 < found.precision < 0.6
    nothing = np.zeros((128, 128), bool)
    assert overlap(box(30), nothing) == Overlap(0.0, 0.0)
    assert overlap(box(30), nothing).f1 == 0.0
    plain = np.zeros((128, 128, 3), np.uint8)
    assert overlap(plain, edges(box(30))).f1 == 0.0
    assert overlap(plain, nothing).f1 == 1.0


def test_near_is_a_disc_around_every_line() -> None:
    lines = np.zeros((9, 9), bool)
    lines[4, 4] = lines[0, 8] = True
    rows, columns = np.nonzero(near(lines, 2.0))
    to_middle = np.hypot(rows - 4, columns - 4)
    to_corner = np.hypot(rows - 0, columns - 8)
    assert (np.minimum(to_middle, to_corner) <= 2).all()
    assert len(rows) == 13 + 6
    np.testing.assert_array_equal(near(lines, 0.5), lines)
