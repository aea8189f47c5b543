"""A look as Gradio takes it: a theme, and a style sheet for what themes do not reach.

Measured with Gradio 6.31: every kind of label has a variable of its own, so that one colour for text means
many; both modes have to be set, or the browser's choice undoes half of a look.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.themes.utils import fonts

from sfumato.errors import RecipeError, closest
from sfumato.serving.studio.look import Dressed, data_address
from sfumato.serving.studio.palette import Palette, mode_of, palette_of

#: The fonts that come along with Gradio, by the names that people know them by. Its folder has files of more,
#: but those of 6.31 lack most letters.
FONTS: Final[Mapping[str, str]] = {
    "IBM Plex Mono": "IBMPlexMono",
    "IBM Plex Sans": "IBMPlexSans",
    "Inconsolata": "Inconsolata",
    "Montserrat": "Montserrat",
    "Quicksand": "Quicksand",
    "Share Tech Mono": "ShareTechMono",
    "Source Sans Pro": "SourceSansPro",
}
#: Gradio's own themes, which are asked for by name.
THEMES: Final[Mapping[str, type[Any]]] = {
    name.lower(): one
    for name, one in inspect.getmembers(gr.themes, inspect.isclass)
    if issubclass(one, gr.themes.Base)
}
_KNOWN: Final = frozenset(inspect.signature(gr.themes.Base.set).parameters)
_MONO: Final = ("ui-monospace", "Consolas", "monospace")
#: Families that every browser has one of, by the names that style sheets give them.
GENERIC: Final = frozenset(
    {"sans-serif", "serif", "monospace", "cursive", "fantasy", "system-ui"}
    | {f"ui-{one}" for one in ("sans-serif", "serif", "monospace", "rounded")}
)
_SIZES: Final = {"small": "sm", "medium": "md", "large": "lg"}


class ShippedFont(fonts.LocalFont):
    """A font that comes along with Gradio. Its bold cut stands for the semi-bold one, which Gradio asks for:
    that one is not there, or lacks most letters.
    """

    def stylesheet(self) -> dict[str, Any]:
        folder = Path(gr.__file__).parent / "templates" / "frontend" / "static" / "fonts" / self.name
        cuts = {400: ("Regular",), 600: ("Bold", "Regular")}
        rules: list[str] = []
        for weight, names in cuts.items():
            files = [f"{self.name}-{cut}" for cut in names]
            file = next((one for one in files if (folder / f"{one}.woff2").is_file()), None)
            if file is not None:
                rules.append(
                    f"@font-face {{ font-family: '{self.name}'; font-weight: {weight}; font-style: normal; "
                    f"src: url('static/fonts/{self.name}/{file}.woff2') format('woff2'); }}"
                )
        return {"url": None, "css": "\n".join(rules)}


def mode_script(mode: str) -> str:
    """Return what has Gradio show a look in its own `mode` where the browser is set to the other one: what
    Gradio paints itself, as the canvas, follows the browser. It asks but once, before scripts of ours run, so
    that the page is opened again the way Gradio can be asked. Nothing for `auto`.
    """
    if mode == "auto":
        return ""
    return f"""
<script>
{{
  const here = new URL(window.location), asked = here.searchParams.get("__theme");
  if (asked === "{mode}") {{
    here.searchParams.delete("__theme");
    window.history.replaceState(null, "", here);
  }} else if (asked === null && !window.matchMedia("(prefers-color-scheme: {mode})").matches) {{
    here.searchParams.set("__theme", "{mode}");
    window.location.replace(here);
  }}
}}
</script>
"""


def theme_of(dressed: Dressed) -> gr.themes.Base:
    """Return the theme of a look. Raises RecipeError for colours and themes that are none."""
    look = dressed.look
    if dressed.theme is not None:
        return _in_mode(_fetched(dressed.theme), look.mode)
    if look.theme is not None:
        return _in_mode(_named(look.theme), look.mode)
    light, dark = (palette_of(look, dark=mode) for mode in (False, True))
    theme = gr.themes.Base(
        font=_fonts(look.font),
        font_mono=[*_MONO],
        radius_size=_radius(look.rounding),
        text_size=_SIZES[look.size],
        spacing_size=_SIZES[look.size],
    )
    values = _values(light) | {f"{name}_dark": value for name, value in _values(dark).items()}
    return theme.set(**{name: value for name, value in values.items() if name in _KNOWN})


def style_of(dressed: Dressed) -> str:
    """Return the style sheet of a look: its picture, its fonts for headings, and the person's own rules at
    the end. Raises RecipeError for a file that cannot be used.
    """
    look = dressed.look
    named = look.theme is not None or dressed.theme is not None
    modes = {} if named else {"": palette_of(look, dark=False), ".dark ": palette_of(look, dark=True)}
    rules: list[str] = []
    mode = mode_of(look)
    if mode != "auto":
        rules.append(f":root {{ color-scheme: {mode}; }}")
    background = dressed.file("background")
    if background is not None:
        behind = "#000" if named else "var(--body-background-fill)"
        rules.append(
            f"body {{ background: {behind} url('{data_address(background)}') center / cover "
            "no-repeat fixed !important; }"
        )
        rules.append("gradio-app, .gradio-container { background: transparent !important; }")
        # Words stand outside of panels as well: one veil lies under all, and panels lay on no second.
        veils = {where: one.under for where, one in modes.items()} or {"": "#0009"}
        rules += [f"{where}main.contain {{ background: {veil}; }}" for where, veil in veils.items()]
        over = (
            ".icon-button-wrapper, .toolbar-wrap { background: var(--background-fill-primary) !important; }"
        )
        rules.append(over)
        rules.append(".form, .gr-group, .styler { background: transparent !important; }")
        rules.append("main.contain { padding: 12px 16px 16px; }")
    if look.heading_font is not None:
        shipped = FONTS.get(look.heading_font)
        if shipped is not None:
            rules.append(ShippedFont(shipped).stylesheet()["css"])
        rules.append(f"h1, h2, h3 {{ font-family: {_family(look.heading_font)} !important; }}")
    own = dressed.file("css")
    return "\n".join([*rules, "" if own is None else own.read_text(encoding="utf-8")])


def head_of(dressed: Dressed) -> str:
    """Return the rules that have to be there before the style sheet: news, and what stands there while the
    page loads, are read whatever colours a look names. A theme of Gradio's has its own. Raises RecipeError
    for what is no colour.
    """
    if dressed.look.theme is not None or dressed.theme is not None:
        return ""
    rules: list[str] = []
    for where, dark in (("", False), (".dark ", True)):
        palette = palette_of(dressed.look, dark=dark)
        # Gradio writes these into the page itself, for what is behind and around its parts.
        mode = "-dark" if dark else ""
        rules.append(f":root {{ --bg{mode}: {palette.ground}; --col{mode}: {palette.text}; }}")
        paint = f"{{ color: {palette.on_ground}; background: {palette.ground}; }}"
        rules += [f"{where}#sf-news > div > p {paint}", f"{where}.main > .full > p.loading {paint}"]
    return " ".join(rules)


def _values(palette: Palette) -> dict[str, str]:
    """Return Gradio's variables for one mode."""
    veil, panel = palette.veil, str(palette.panel)
    text, soft, accent = str(palette.text), str(palette.soft), str(palette.accent)
    # The veil lies under all of the page: another one on top would hide the picture behind.
    under = panel if veil >= 1 else "transparent"
    typed = palette.typed
    border = str(palette.border)
    hover = str(palette.accent.mixed(palette.text, 0.12))
    words = dict.fromkeys(
        (
            "body_text_color",
            "block_title_text_color",
            "block_label_text_color",
            "checkbox_label_text_color",
            "checkbox_label_text_color_selected",
            "accordion_text_color",
            "table_text_color",
            "button_secondary_text_color",
            "button_secondary_text_color_hover",
            "link_text_color_hover",
        ),
        text,
    )
    quiet = dict.fromkeys(
        ("body_text_color_subdued", "block_info_text_color", "input_placeholder_color"), soft
    )
    panels = dict.fromkeys(
        (
            "background_fill_primary",  # of what lies over other things
            "background_fill_secondary",
            "block_label_background_fill",  # in a corner of what may be a picture
            "stat_background_fill",
        ),
        panel,
    ) | dict.fromkeys(("block_background_fill", "panel_background_fill", "table_even_background_fill"), under)
    fields = dict.fromkeys(
        (
            "input_background_fill",
            "input_background_fill_focus",
            "input_background_fill_hover",
            "table_odd_background_fill",
            "code_background_fill",
            "checkbox_background_color",
            "checkbox_label_background_fill",
            "checkbox_label_background_fill_hover",
            "checkbox_label_background_fill_selected",
            "button_secondary_background_fill",
            "button_secondary_background_fill_hover",
        ),
        typed,
    )
    borders = dict.fromkeys(
        (
            "border_color_primary",
            "block_border_color",
            "input_border_color",
            "input_border_color_hover",
            "checkbox_border_color",
            "checkbox_label_border_color",
            "checkbox_label_border_color_hover",
            "table_border_color",
            "panel_border_color",
            "button_secondary_border_color",
        ),
        border,
    )
    marks = dict.fromkeys(
        (
            "color_accent",
            "border_color_accent",
            "input_border_color_focus",
            "checkbox_border_color_focus",
            "checkbox_border_color_selected",
            "checkbox_label_border_color_selected",
            "checkbox_background_color_selected",
            "slider_color",
            "loader_color",
        ),
        str(palette.mark),
    )
    links = dict.fromkeys(
        ("link_text_color", "link_text_color_active", "link_text_color_visited"), str(palette.link)
    )
    buttons = {
        "button_primary_background_fill": accent,
        "button_primary_background_fill_hover": hover,
        "button_primary_border_color": accent,
        "button_primary_text_color": str(palette.on_accent),
        "button_primary_text_color_hover": str(palette.on_accent),
        "button_cancel_background_fill": str(palette.danger),
        "button_cancel_background_fill_hover": str(palette.danger),
        "button_cancel_text_color": str(palette.on_danger),
        "button_cancel_text_color_hover": str(palette.on_danger),
        "error_text_color": text,
        "error_background_fill": panel,
        "error_border_color": str(palette.danger),
        "block_title_background_fill": "transparent",
        "body_background_fill": str(palette.ground),
        "color_accent_soft": typed,
        "input_border_width": "1px",
        "block_border_width": "1px",
    }
    return words | quiet | panels | fields | borders | marks | links | buttons


def _named(name: str) -> gr.themes.Base:
    known = THEMES.get(name.strip().lower())
    if known is not None:
        return known()
    near = closest(name.lower(), THEMES)
    guess = "" if near is None else f"Did you mean {near}? "
    names = ", ".join(sorted(THEMES))
    raise RecipeError(
        "there is no such theme of Gradio", field="theme", value=name, hint=f"{guess}Choose one of {names}."
    )


def _in_mode(theme: gr.themes.Base, mode: str) -> gr.themes.Base:
    """Return a theme of Gradio's with the colours of `mode` in both of its modes, unless that is `auto`."""
    values = vars(theme)
    for dark in [name for name in values if name.endswith("_dark")]:
        light = dark.removesuffix("_dark")
        if mode == "light":
            setattr(theme, dark, values.get(light))
        elif mode == "dark" and values[dark] is not None:
            setattr(theme, light, values[dark])
    return theme


def _fetched(values: Mapping[str, Any]) -> gr.themes.Base:
    """Return the theme that was fetched, with the fonts that come along, or that the machine has."""
    named = {name: [*map(_font, values[name])] for name in ("font", "font_mono")}
    theme = gr.themes.Base(
        font=[*named["font"], "system-ui", "sans-serif"], font_mono=[*named["font_mono"], *_MONO]
    )
    for name, value in values.items():
        # What this Gradio does not know would be a variable of no use.
        if name not in named and name in vars(theme):
            setattr(theme, name, value)
    return theme


def fonts_of_machine(dressed: Dressed) -> tuple[str, ...]:
    """Return the fonts that a look names and that do not come along: whether one is there, only the
    visitor's browser knows.
    """
    named = dressed.look.font if dressed.look.theme is None else None
    if dressed.theme is not None and dressed.theme["font"]:
        named = dressed.theme["font"][0]
    wanted = dict.fromkeys(one for one in (named, dressed.look.heading_font) if one is not None)
    return tuple(one for one in wanted if one not in FONTS and one.lower() not in GENERIC)


def _fonts(name: str | None) -> list[fonts.Font | str]:
    return [*([] if name is None else [_font(name)]), "system-ui", "sans-serif"]


def _font(name: str) -> fonts.Font | str:
    shipped = FONTS.get(name)
    return _family(name) if shipped is None else ShippedFont(shipped)


def _family(name: str) -> str:
    """Return a font's name for a style sheet. Raises RecipeError for what no font is called."""
    if not all(one.isalnum() or one in " -_" for one in name):
        raise RecipeError("is no name of a font", field="font", value=name, hint="Give letters and spaces.")
    return name.lower() if name.lower() in GENERIC else f"'{FONTS.get(name, name)}'"


def _radius(pixels: int) -> gr.themes.Size:
    steps = (0.2, 0.3, 0.5, 0.8, 1.0, 1.3, 1.6)
    names = ("xxs", "xs", "sm", "md", "lg", "xl", "xxl")
    return gr.themes.Size(
        name=f"rounding_{pixels}",
        **{name: f"{round(pixels * step)}px" for name, step in zip(names, steps, strict=True)},
    )
