"""The plane of guidance, drawn to scale."""

import re

import pytest

from sfumato.engine.compass import Bearing
from sfumato.serving.studio.learn_arrows import arrows_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of

WORDS = words_of(Look())


def tips(drawing: str) -> list[tuple[float, float]]:
    """Return where arrows end: the first corner of each head, the longest arrow first."""
    return [(float(x), float(y)) for x, y in re.findall(r'<polygon points="([\d.-]+),([\d.-]+) ', drawing)]


def test_the_three_arrows_are_to_scale() -> None:
    # u = (3, 0), c = (0, 4), and with guidance 2 the third is (-3, 8).
    drawing = arrows_of([Bearing(1.0, 3.0, 4.0, 73**0.5, 90.0)], 2.0, WORDS)
    guided, conditional, unconditional = tips(drawing)
    # On one line, and as far apart.
    for axis in (0, 1):
        there = conditional[axis] - unconditional[axis]
        assert guided[axis] - conditional[axis] == pytest.approx(there, abs=0.21)
    assert conditional[1] < unconditional[1]  # up
    for x, y in tips(drawing):
        assert 0 <= x <= 380
        assert 84 <= y <= 290


def test_all_steps_share_a_scale() -> None:
    steps = [Bearing(2.0, 1.0, 2.0, 3.0, 40.0), None, Bearing(1.0, 10.0, 10.0, 10.5, 5.0)]
    drawing = arrows_of(steps, 2.0, WORDS)
    first, _, last = re.findall(r'<div data-step="\d"(?: hidden)?>(.*?)</div>', drawing, re.DOTALL)
    (gx, gy), *_ = tips(first)
    (hx, hy), *_ = tips(last)
    lines = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)"[^>]* stroke="#', first + last)
    (origin,) = {*lines}
    x, y = (float(one) for one in origin)
    assert ((hx - x) ** 2 + (hy - y) ** 2) > 9 * ((gx - x) ** 2 + (gy - y) ** 2)


def test_tips_have_letters_where_there_is_room() -> None:
    apart = arrows_of([Bearing(1.0, 3.0, 4.0, 73**0.5, 90.0)], 2.0, WORDS)
    letters = re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)" text-anchor="middle">(.)</text>', apart)
    assert [one for _, _, one in letters] == ["u", "c"]
    assert all(0 <= float(x) <= 380 and 0 <= float(y) <= 290 for x, y, _ in letters)
    assert f"{WORDS('learn_arrow_u')}: length 3.0" in apart
    together = arrows_of([Bearing(1.0, 5.0, 5.0, 5.0, 0.5)], 2.0, WORDS)
    assert 'text-anchor="middle"' not in together


def test_nothing_to_draw() -> None:
    assert WORDS("learn_no_arrows") in arrows_of([None, None], 1.0, WORDS)
    assert "<circle" in arrows_of([Bearing(1.0, 0.0, 0.0, 0.0, 0.0)], 2.0, WORDS)
