"""Where an extension is drawn in passes: windows that each add a little at the border of what is known."""

import numpy as np
from numpy.typing import NDArray

from sfumato.imaging.fitting import Window

Known = NDArray[np.bool_]


def plan_passes(
    canvas: tuple[int, int], inner: Window, window: tuple[int, int], reach: int
) -> tuple[Window, ...]:
    """Return the windows to draw in, one after the other, until all of a canvas is known.

    `canvas` and `window` are (width, height) in pixels, `inner` is what is known of the canvas at first, and
    `reach` (at least 1) how many pixels a pass adds at most to a side. Left and right are extended first,
    then top and bottom over the whole width. A window has the size asked for, or the canvas's where that is
    smaller. Where a side is longer than a window, several overlap along it by half of a window or more.
    Every window holds something that is known, and something that is not.
    """
    wide, high = min(window[0], canvas[0]), min(window[1], canvas[1])
    known = np.zeros((canvas[1], canvas[0]), np.bool_)
    inner.of(known)[:] = True
    planned: list[Window] = []

    def add(left: int, top: int) -> None:
        one = Window(left, top, left + wide, top + high)
        if not one.of(known).all():
            planned.append(one)
            one.of(known)[:] = True

    places = _along(inner.top, inner.bottom, high, canvas[1])
    for edge in _edges(inner.left, 0, reach):
        for top in places:
            add(min(edge, canvas[0] - wide), top)
    for edge in _edges(inner.right, canvas[0], reach):
        for top in places:
            add(max(edge - wide, 0), top)
    places = _along(0, canvas[0], wide, canvas[0])
    for edge in _edges(inner.top, 0, reach):
        for left in places:
            add(left, min(edge, canvas[1] - high))
    for edge in _edges(inner.bottom, canvas[1], reach):
        for left in places:
            add(left, max(edge - high, 0))
    return tuple(planned)


def _edges(begin: int, end: int, reach: int) -> list[int]:
    """Return where the border stands after each pass on its way from `begin` to `end`: equal parts."""
    count = -(-abs(end - begin) // reach)
    return [begin + round((end - begin) * number / count) for number in range(1, count + 1)]


def _along(low: int, high: int, need: int, size: int) -> list[int]:
    """Return where windows of `need` pixels begin that cover `[low, high)` of `[0, size)`."""
    if high - low <= need:
        return [min(max(low - (need - (high - low)) // 2, 0), size - need)]
    count = 1 + -(-2 * (high - low - need) // need)
    return [low + round((high - low - need) * number / (count - 1)) for number in range(count)]
