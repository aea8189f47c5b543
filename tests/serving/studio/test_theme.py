"""A look as Gradio takes it: colours in both modes, fonts that come along, and nothing from elsewhere."""

from pathlib import Path

import gradio as gr
import pytest
from PIL import ImageFont

from sfumato.errors import RecipeError
from sfumato.serving.studio.look import Dressed, Look, built_in, names
from sfumato.serving.studio.palette import palette_of
from sfumato.serving.studio.theme import (
    FONTS,
    THEMES,
    ShippedFont,
    fonts_of_machine,
    head_of,
    mode_script,
    style_of,
    theme_of,
)

HERE = Path("/nonexistent")


def values_of(look: Look) -> dict[str, str]:
    return theme_of(Dressed(look, HERE)).to_dict()["theme"]


@pytest.mark.parametrize("name", names())
def test_our_own_looks_fetch_nothing(name: str) -> None:
    dressed = built_in(name)
    sheet = f"{theme_of(dressed)._get_theme_css()}{style_of(dressed)}"
    assert "http:" not in sheet.replace("http://www.w3.org", "")
    assert "https:" not in sheet
    assert "@import" not in sheet
    assert "googleapis" not in sheet
    assert theme_of(dressed)._stylesheets == []


def test_one_colour_for_text_paints_every_kind_of_text_in_both_modes() -> None:
    values = values_of(Look(ground="#0d1330", text="#ffffff"))
    for name in ("body_text_color", "block_title_text_color", "block_label_text_color", "table_text_color"):
        assert values[name] == values[f"{name}_dark"] == "#ffffff", name
    for name in ("checkbox_label_text_color", "accordion_text_color", "button_secondary_text_color"):
        assert values[name] == "#ffffff", name
    assert values["body_background_fill"] == values["body_background_fill_dark"] == "#0d1330"


def test_the_accent_is_that_of_the_buttons() -> None:
    assert values_of(Look(accent="#2f4bd8"))["button_primary_background_fill"] == "#2f4bd8"


def test_before_a_picture_panels_let_it_shine_through(tmp_path: Path) -> None:
    (tmp_path / "sea.png").write_bytes(b"picture")
    dressed = Dressed(Look(background="sea.png", veil=0.5), tmp_path)
    values = theme_of(dressed).to_dict()["theme"]
    assert values["block_background_fill"] == values["block_title_background_fill"] == "transparent"
    assert values["background_fill_primary"].startswith("#")  # of what lies over other things
    assert values["input_background_fill"].startswith("rgba(")
    sheet = style_of(dressed)
    assert f"main.contain {{ background: {palette_of(dressed.look, dark=False).under};" in sheet
    assert f".dark main.contain {{ background: {palette_of(dressed.look, dark=True).under};" in sheet
    assert "data:image/png;base64,cGljdHVyZQ==" in sheet
    assert "!important" in sheet


def test_ones_own_rules_come_last(tmp_path: Path) -> None:
    (tmp_path / "more.css").write_text("h1 { color: red }")
    sheet = style_of(Dressed(Look(css="more.css", heading_font="Montserrat"), tmp_path))
    assert sheet.splitlines()[-1] == "h1 { color: red }"
    assert "font-family: 'Montserrat'" in sheet


@pytest.mark.parametrize("name", sorted(THEMES))
def test_every_theme_of_gradio_is_there_by_its_name(name: str) -> None:
    theme = theme_of(Dressed(Look(theme=name.upper()), HERE))
    assert type(theme) is THEMES[name]
    assert style_of(Dressed(Look(theme=name), HERE)) == ""


def test_a_theme_that_is_not_there_is_never_replaced_in_silence() -> None:
    with pytest.raises(RecipeError, match="theme: there is no such theme of Gradio") as caught:
        theme_of(Dressed(Look(theme="sofd"), HERE))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Did you mean soft?")


@pytest.mark.parametrize("name", sorted(FONTS))
def test_fonts_that_people_know_come_along(name: str) -> None:
    folder = Path(gr.__file__).parent / "templates" / "frontend"
    sheet = ShippedFont(FONTS[name]).stylesheet()["css"]
    files = [part.partition("')")[0] for part in sheet.split("url('")[1:]]
    assert len(files) == 2
    for file in files:
        font = ImageFont.truetype(str(folder / file), 20)
        missing = bytes(font.getmask("\uffff"))
        # Some of the files that come along have accents and signs, and no letters.
        assert all(bytes(font.getmask(one)) != missing for one in "AaZz019é")


def test_fonts_are_names_and_nothing_else() -> None:
    name = "x'; } body { display: none"
    with pytest.raises(RecipeError, match="is no name of a font"):
        theme_of(Dressed(Look(font=name), HERE))
    with pytest.raises(RecipeError, match="is no name of a font"):
        style_of(Dressed(Look(heading_font=name), HERE))


def test_families_that_every_browser_has_are_no_names() -> None:
    assert theme_of(Dressed(Look(font="Serif"), HERE)).to_dict()["theme"]["font"].startswith("serif, ")
    look = Look(font="Comic Neue", heading_font="system-ui")
    assert fonts_of_machine(Dressed(look, HERE)) == ("Comic Neue",)
    assert fonts_of_machine(Dressed(Look(font="Montserrat"), HERE)) == ()


def test_sizes_are_those_of_text_and_gaps() -> None:
    small, medium, large = (values_of(Look(size=size)) for size in ("small", "medium", "large"))
    for name in ("text_md", "spacing_lg"):
        pixels = [float(one[name].removesuffix("px")) for one in (small, medium, large)]
        assert pixels == sorted(set(pixels)), name


def test_no_colour_is_named() -> None:
    with pytest.raises(RecipeError, match="accent"):
        theme_of(Dressed(Look(accent="greenish"), HERE))


def test_rounding_is_in_pixels() -> None:
    assert "--radius-lg: 30px" in theme_of(Dressed(Look(rounding=30), HERE))._get_theme_css()
    assert "--radius-lg: 0px" in theme_of(Dressed(Look(rounding=0), HERE))._get_theme_css()


def test_a_mode_of_its_own_is_that_of_a_theme_of_gradio_in_both() -> None:
    plain = vars(theme_of(Dressed(Look(theme="soft"), Path())))
    light, dark = (
        vars(theme_of(Dressed(Look(theme="soft", mode=mode), Path()))) for mode in ("light", "dark")
    )
    fill = "background_fill_primary"
    assert plain[fill] != plain[f"{fill}_dark"]
    assert light[fill] == light[f"{fill}_dark"] == plain[fill]
    assert dark[fill] == dark[f"{fill}_dark"] == plain[f"{fill}_dark"]


def test_only_a_mode_of_its_own_is_asked_of_gradio() -> None:
    assert mode_script("auto") == ""
    assert '"__theme", "dark"' in mode_script("dark")
    assert "color-scheme: dark" in style_of(Dressed(Look(mode="dark"), HERE))
    assert "color-scheme" not in style_of(Dressed(Look(), HERE))
    assert "color-scheme: dark" in style_of(Dressed(Look(text="#ffffff"), HERE))


def test_news_and_waiting_have_colours_of_their_own() -> None:
    look = Look(text="#ffffff", ground="#ffffff")
    head = head_of(Dressed(look, HERE))
    told = f"color: {palette_of(look, dark=False).on_ground}; background: #ffffff; }}"
    for where in ("#sf-news > div > p", ".main > .full > p.loading"):
        assert head.count(f"{where} {{ {told}") == 2
        assert f".dark {where} {{ {told}" in head
    assert ":root { --bg: #ffffff; --col: #ffffff; }" in head
    assert head_of(Dressed(Look(theme="soft"), HERE)) == ""
