"""What looks work out can be read, whatever accent, ground or picture they are given."""

from typing import Literal

import pytest
from hypothesis import given

from serving.studio.test_colours import colours
from sfumato.errors import RecipeError
from sfumato.serving.studio.colours import AA, AA_PARTS, BLACK, WHITE, Colour, contrast
from sfumato.serving.studio.look import Look, built_in, names
from sfumato.serving.studio.palette import mode_of, palette_of


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dark", [False, True])
def test_our_own_looks_are_read_everywhere(name: str, dark: bool) -> None:
    for what, one, ground, least in palette_of(built_in(name).look, dark=dark).pairs():
        assert contrast(one, ground) >= least, what


@given(colours, colours)
def test_every_accent_and_ground_makes_a_page_that_can_be_read(accent: Colour, ground: Colour) -> None:
    for dark in (False, True):
        palette = palette_of(Look(accent=str(accent), ground=str(ground)), dark=dark)
        assert palette.accent == accent
        for what, one, behind, least in palette.pairs():
            assert contrast(one, behind) >= least, what


def test_a_picture_behind_counts_at_its_darkest_and_brightest() -> None:
    look = Look(background="sea.png", veil=0.86, ground="#10203a", text="#ffffff")
    palette = palette_of(look, dark=True)
    assert len(palette.panels_seen) == 2
    thin = palette_of(look.model_copy(update={"veil": 0.1}), dark=True)
    assert any(contrast(one, behind) < least for _, one, behind, least in thin.pairs())


def test_white_panels_are_measured_as_panels() -> None:
    thin = Look(background="sea.png", veil=0.3, ground="#ffffff", text="#555555")
    palette = palette_of(thin, dark=False)
    assert palette.panel == palette.field
    assert min(contrast(palette.text, seen) for seen in palette.panels_seen) < 1.2
    assert any(
        what == "text on panels" and contrast(one, behind) < least
        for what, one, behind, least in palette.pairs()
    )


def test_colours_that_are_none_are_named() -> None:
    for field in ("accent", "text", "ground"):
        with pytest.raises(RecipeError, match=f"{field}: is no colour"):
            palette_of(Look.model_validate({field: "blue"}), dark=False)


@pytest.mark.parametrize(("mode", "dark"), [("light", False), ("dark", True)])
def test_a_look_with_a_mode_of_its_own_is_the_same_in_both(
    mode: Literal["light", "dark"], dark: bool
) -> None:
    own = Look(mode=mode)
    assert palette_of(own, dark=True) == palette_of(own, dark=False) == palette_of(Look(), dark=dark)


def test_fields_lie_on_the_veil_and_the_veil_on_the_picture() -> None:
    palette = palette_of(Look(background="sea.png", veil=0.5, ground="#000000", text="#ffffff"), dark=True)
    darkest, brightest = palette.panels_seen
    assert (darkest, brightest) == (palette.panel.mixed(BLACK, 0.5), palette.panel.mixed(WHITE, 0.5))
    assert palette.fields_seen[1] == palette.field.mixed(brightest, 0.1)
    assert palette.under.endswith(", 0.5)")
    assert palette.typed.endswith(", 0.9)")


@given(colours, colours)
def test_what_stands_outside_of_panels_is_measured_on_the_ground(accent: Colour, ground: Colour) -> None:
    for dark in (False, True):
        palette = palette_of(Look(accent=str(accent), ground=str(ground)), dark=dark)
        assert contrast(palette.link, palette.ground) >= AA
        assert contrast(palette.mark, palette.ground) >= AA_PARTS
        assert "links on the ground" in {what for what, *_ in palette.pairs()}


@pytest.mark.parametrize("text", ["#ffffff", "#ffd27f", "#222222"])
def test_words_of_a_given_colour_have_what_they_are_read_on_in_both_modes(text: str) -> None:
    before_picture = Look(text=text, background="sea.png")
    assert palette_of(before_picture, dark=False) == palette_of(before_picture, dark=True)
    palette = palette_of(before_picture, dark=False)
    light = text != "#222222"
    assert palette.dark is light
    assert mode_of(before_picture) == ("dark" if light else "light")
    for one in (palette.ground, palette.panel, palette.field):
        assert (one.luminance < 0.1) if light else (one.luminance > 0.8)
    for what, one, behind, least in palette.pairs():
        assert contrast(one, behind) >= least, what


@given(colours)
def test_every_text_alone_makes_a_page_that_can_be_read(text: Colour) -> None:
    for dark in (False, True):
        palette = palette_of(Look(text=str(text)), dark=dark)
        assert palette.text == text
        for what, one, behind, least in palette.pairs():
            assert contrast(one, behind) >= least, what


def test_before_a_picture_the_veil_goes_with_the_words_and_not_with_the_ground() -> None:
    for ground in ("#ffffff", "#888888"):
        palette = palette_of(Look(text="#ffffff", ground=ground, background="sea.png"), dark=False)
        assert palette.ground == Colour(*(3 * (int(ground[1:3], 16),)))
        for what, one, behind, least in palette.pairs():
            assert contrast(one, behind) >= least, what


@given(colours, colours)
def test_news_are_read_whatever_is_named(text: Colour, ground: Colour) -> None:
    palette = palette_of(Look(text=str(text), ground=str(ground)), dark=False)
    assert contrast(palette.on_ground, palette.ground) >= AA


def test_a_look_goes_with_the_browser_unless_it_names_a_colour_or_a_mode() -> None:
    assert mode_of(Look(accent="#ff0000")) == "auto"
    assert mode_of(Look(ground="#101010")) == "dark"
    assert mode_of(Look(mode="light", text="#ffffff")) == "light"
    assert mode_of(Look(theme="soft", text="#ffffff")) == "auto"


def test_browsers_mix_without_rounding_and_nothing_is_darker_or_brighter_than_is_measured() -> None:
    palette = palette_of(Look(background="sea.png", text="#ffffff"), dark=True)
    darkest, brightest = palette.panels_seen
    assert darkest.red <= palette.panel.red * palette.veil < darkest.red + 1
    assert brightest.red - 1 < 255 - (255 - palette.panel.red) * palette.veil <= brightest.red
