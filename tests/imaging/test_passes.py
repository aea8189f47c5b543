"""Windows of an extension in passes: they cover the canvas, and each goes on from what is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.imaging.fitting import Window
from sfumato.imaging.passes import plan_passes


def test_one_side_is_extended_in_equal_parts() -> None:
    windows = plan_passes((384, 128), Window(256, 0, 384, 128), (128, 128), 96)
    assert windows == tuple(Window(left, 0, left + 128, 128) for left in (171, 85, 0))


def test_the_other_side_goes_the_other_way() -> None:
    windows = plan_passes((128, 200), Window(0, 0, 128, 128), (128, 128), 40)
    assert windows == (Window(0, 36, 128, 164), Window(0, 72, 128, 200))


def test_a_long_side_takes_windows_that_overlap_by_half() -> None:
    windows = plan_passes((256, 160), Window(0, 32, 256, 160), (128, 128), 32)
    assert windows == tuple(Window(left, 0, left + 128, 128) for left in (0, 64, 128))


def test_a_canvas_smaller_than_the_window_is_drawn_at_once() -> None:
    assert plan_passes((100, 60), Window(20, 0, 100, 60), (128, 128), 8) == (Window(0, 0, 100, 60),)


@given(
    st.tuples(*(st.integers(0, 150) for _ in range(4))).filter(any),
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.integers(1, 48),
)
def test_everything_is_drawn_and_nothing_from_nowhere(
    sides: tuple[int, int, int, int], size: tuple[int, int], reach: int
) -> None:
    left, right, top, bottom = sides
    canvas = left + size[0] + right, top + size[1] + bottom
    inner = Window(left, top, left + size[0], top + size[1])
    known = np.zeros(canvas[::-1], np.bool_)
    inner.of(known)[:] = True
    for window in plan_passes(canvas, inner, (64, 64), reach):
        assert window.left >= 0
        assert window.right <= canvas[0]
        assert window.top >= 0
        assert window.bottom <= canvas[1]
        assert (window.width, window.height) == (min(64, canvas[0]), min(64, canvas[1]))
        here = window.of(known)
        assert here.any()
        assert not here.all()
        here[:] = True
    assert known.all()


@pytest.mark.parametrize("reach", [1, 7, 64])
def test_no_pass_adds_more_than_it_may(reach: int) -> None:
    known = 100
    for window in plan_passes((300, 64), Window(200, 0, 300, 64), (96, 64), reach):
        assert 300 - known - window.left <= reach
        known = 300 - window.left
    assert known == 300
