"""Contrast: the numbers of WCAG, and colours that are mended until they can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RecipeError
from sfumato.serving.studio.colours import AA, BLACK, WHITE, Colour, contrast, parse_colour, readable

channels = st.integers(0, 255)
colours = st.builds(Colour, channels, channels, channels)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000", "#fff", 21.0),
        ("#777777", "#ffffff", 4.48),  # the well-known grey that just fails
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
        ("#0000ff", "#000000", 2.44),
        ("#123456", "#123456", 1.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    a, b = parse_colour(one, "x"), parse_colour(other, "y")
    assert contrast(a, b) == pytest.approx(ratio, abs=0.005)
    assert contrast(b, a) == contrast(a, b)


@given(colours, st.lists(colours, min_size=1, max_size=1))
def test_every_colour_becomes_readable_on_any_ground(colour: Colour, grounds: list[Colour]) -> None:
    assert contrast(readable(colour, *grounds), grounds[0]) >= AA


def test_a_colour_that_can_be_read_stays() -> None:
    green = parse_colour("#2f6f4f", "accent")
    assert readable(green, WHITE) == green
    assert readable(green, BLACK) != green
    assert contrast(readable(Colour(128, 128, 128), BLACK, WHITE), WHITE) >= AA


def test_where_nothing_can_be_read_it_is_black_or_white() -> None:
    assert readable(Colour(0, 128, 0), BLACK, WHITE, Colour(118, 118, 118)) in (BLACK, WHITE)


@given(colours)
def test_colours_are_written_as_they_are_read(colour: Colour) -> None:
    assert parse_colour(str(colour), "x") == colour


@pytest.mark.parametrize("text", ["", "red", "#12", "#12345", "#gggggg", "#123456;}", "url(x)"])
def test_other_words_are_no_colours(text: str) -> None:
    with pytest.raises(RecipeError, match="accent: is no colour"):
        parse_colour(text, "accent")


def test_veils_and_mixtures() -> None:
    assert WHITE.mixed(BLACK, 0.5) == Colour(128, 128, 128)
    assert Colour(1, 2, 3).veiled(0.85) == "rgba(1, 2, 3, 0.85)"
