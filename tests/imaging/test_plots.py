"""Plots are well-formed, and what they show stands where it should."""

import math
import re
from xml.etree import ElementTree

import pytest

from sfumato.imaging.pages import STYLE
from sfumato.imaging.plots import COLOURS, HEIGHT, LEFT, RIGHT, WIDTH, Level, Line, line_plot

SVG = "{http://www.w3.org/2000/svg}"


def points(plot: str) -> list[list[tuple[float, float]]]:
    found = ElementTree.fromstring(plot).iter(f"{SVG}polyline")
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]
        for line in found
    ]


def texts(plot: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(plot).iter(f"{SVG}text")]


def test_values_stand_at_their_heights_and_steps_from_left_to_right() -> None:
    plot = line_plot("rise", [Line("a", [0.0, 5.0, 10.0])])
    ((low, middle, high),) = points(plot)
    assert (low[0], high[0]) == (LEFT, WIDTH - RIGHT)
    assert middle[0] == pytest.approx((low[0] + high[0]) / 2)
    assert middle[1] == pytest.approx((low[1] + high[1]) / 2, abs=0.1)
    assert high[1] < low[1] < HEIGHT
    assert {"0", "10", "1", "3"} <= set(texts(plot))


def test_a_logarithm_makes_a_straight_line_of_powers_and_leaves_out_zero() -> None:
    plot = line_plot("fall", [Line("a", [1000.0, 100.0, 10.0, 0.0])], logarithmic=True)
    ((first, second, third),) = points(plot)
    assert second[1] - first[1] == pytest.approx(third[1] - second[1], abs=0.2)


def test_a_curve_ends_where_there_is_nothing() -> None:
    plot = line_plot("gaps", [Line("a", [1.0, 2.0, None, 4.0, math.nan, 1.0, 2.0])])
    assert [len(piece) for piece in points(plot)] == [2, 2]
    assert plot.count("<circle") == 1


def test_several_lines_have_names_and_a_level_too() -> None:
    plot = line_plot(
        "two", [Line("ours & theirs", [1.0, 2.0]), Line("b", [2.0, 2.0])], level=Level("best", 3.0), unit="s"
    )
    assert {"ours & theirs", "b", "best", "s"} <= set(texts(plot))
    assert "stroke-dasharray" in plot


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0], [1e-9, 1e-9], [-5.0, 5.0], [1e6, 3e6], [1.0] * 1000])
def test_whatever_comes_is_drawn_inside(values: list[float]) -> None:
    plot = line_plot("any", [Line("a", values)], from_zero=True)
    for x, y in (pair for piece in points(plot) for pair in piece):
        assert LEFT <= x <= WIDTH - RIGHT
        assert 0 <= y <= HEIGHT
    marker = re.search(r'class="marker" x1="([\d.]+)"', plot)
    assert marker is not None


def test_a_title_is_no_markup() -> None:
    plot = line_plot('<script>"x"', [Line("a", [1.0])])
    assert ElementTree.fromstring(plot).attrib["aria-label"] == '<script>"x"'


def test_nothing_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="nothing to plot"):
        line_plot("none", [Line("a", [None, math.inf])])


@pytest.mark.parametrize("paper", ["#fbfaf7", "#1b1d21"])
@pytest.mark.parametrize("colour", COLOURS)
def test_every_line_can_be_seen_on_light_and_dark_paper(colour: str, paper: str) -> None:
    # WCAG 2.2, "relative luminance" and "contrast ratio".
    def luminance(code: str) -> float:
        values = [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(colour), luminance(paper)))
    assert (high + 0.05) / (low + 0.05) >= 3
    assert f"--paper: {paper}" in STYLE
