"""What looks work out can be read, whatever accent, ground or picture they are given."""

from typing import Literal

import pytest
from hypothesis import given

from serving.studio.test_colours import colours
from sfumato.errors import RecipeError
from sfumato.serving.studio.colours import AA, AA_PARTS, BLACK, WHITE, Colour, contrast
from sfumato.serving.studio.look import Look, built_in, names
from sfumato.serving.studio.palette import palette_of


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
