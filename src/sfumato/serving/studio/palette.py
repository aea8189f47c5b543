"""The colours of a look, worked out: from ground, text and accent to all that a page is painted with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Final, Literal

from sfumato.serving.studio.colours import (
    AA,
    AA_PARTS,
    BLACK,
    WHITE,
    Colour,
    contrast,
    parse_colour,
    readable,
)
from sfumato.serving.studio.look import Look

_GROUNDS: Final = {False: Colour(250, 247, 241), True: Colour(24, 24, 27)}
_TEXTS: Final = {False: Colour(38, 34, 30), True: Colour(237, 235, 230)}
_ACCENT: Final = Colour(47, 111, 94)
_ROOM: Final = 6.0  # contrast of white on a panel that quieter words can be read on too
_DANGER: Final = Colour(176, 42, 48)
_STEPS: Final = 25  # in which panels move away from words
_COVERED: Final = 0.9  # of what lies behind, by fields: more than by panels, so that what is typed stands out


@dataclass(frozen=True)
class Palette:
    """What a page is painted with, in one mode. `ground` lies behind all, `panel` under forms, `field` under
    what is typed; `veil` is how much panels cover of a picture behind them. `soft` is text of less weight,
    `on_ground` what can be read on the bare ground whatever else the look says: news, and waiting.
    """

    dark: bool
    ground: Colour
    panel: Colour
    field: Colour
    border: Colour
    text: Colour
    soft: Colour
    accent: Colour
    on_accent: Colour
    mark: Colour
    link: Colour
    danger: Colour
    on_danger: Colour
    on_ground: Colour
    veil: float

    def pairs(self) -> Iterator[tuple[str, Colour, Colour, float]]:
        """Yield what has to be read, on what, and the contrast that WCAG 2.2 AA asks of it. Where a picture
        shows through panels, both the darkest and the brightest that it can make of them count.
        """
        for name, text in (("text", self.text), ("soft text", self.soft), ("links", self.link)):
            for place, grounds in self._places().items():
                for seen in grounds:
                    yield f"{name} on {place}", text, seen, AA
        yield "news", self.on_ground, self.ground, AA
        yield "words on buttons", self.on_accent, self.accent, AA
        yield "words on warnings", self.on_danger, self.danger, AA
        for place in ("panels", "the ground"):
            for seen in self._places().get(place, ()):
                yield f"marks on {place}", self.mark, seen, AA_PARTS

    def _places(self) -> dict[str, tuple[Colour, ...]]:
        places = {"panels": self.panels_seen, "fields": self.fields_seen}
        # Before a picture, all that is said stands on the veil.
        return places if self.veil < 1 else {**places, "the ground": (self.ground,)}

    @property
    def panels_seen(self) -> tuple[Colour, ...]:
        """What panels look like before any picture, at its darkest and brightest: the veil lies over it."""
        return _seen(self.panel, self.panel, self.veil, field=False)

    @property
    def fields_seen(self) -> tuple[Colour, ...]:
        """What fields look like before any picture: they lie on the veil."""
        return _seen(self.field, self.panel, self.veil, field=True)

    @property
    def under(self) -> str:
        """The veil, for CSS."""
        return self.panel.veiled(self.veil) if self.veil < 1 else str(self.panel)

    @property
    def typed(self) -> str:
        """What is under fields, for CSS."""
        return str(self.field) if self.veil >= 1 else self.field.veiled(max(self.veil, _COVERED))


def _seen(ground: Colour, panel: Colour, veil: float, *, field: bool) -> tuple[Colour, ...]:
    if veil >= 1:
        return (ground,)
    # Browsers mix without rounding to whole levels: rounded outwards, none is brighter or darker than this.
    darkest, brightest = (
        _rounded(panel, BLACK, 1 - veil, floor),
        _rounded(panel, WHITE, 1 - veil, ceil),
    )
    if not field:
        return darkest, brightest
    shown = 1 - max(veil, _COVERED)
    return _rounded(ground, darkest, shown, floor), _rounded(ground, brightest, shown, ceil)


def _rounded(colour: Colour, behind: Colour, share: float, to: Callable[[float], int]) -> Colour:
    pairs = ((colour.red, behind.red), (colour.green, behind.green), (colour.blue, behind.blue))
    return Colour(*(to(round(mine + (its - mine) * share, 6)) for mine, its in pairs))


@dataclass(frozen=True)
class _Surfaces:
    """What words stand on, and all that it may look like: made for light words where it is `dark`."""

    dark: bool
    panel: Colour
    field: Colour
    seen: tuple[Colour, ...]

    def worst(self, text: Colour) -> float:
        return min(contrast(text, one) for one in self.seen)


def _surfaces(ground: Colour, text: Colour | None, veil: float, *, dark: bool) -> _Surfaces:
    """Make panels and fields of a ground. Where `text` is given they move away from it, just so far that it
    can be read on them, and as far as they can where it never can.
    """
    if dark:
        # A ground of a middling brightness leaves white words no room for a lighter panel.
        lighter = ground.mixed(WHITE, 0.05)
        panel = lighter if contrast(WHITE, lighter) > _ROOM else ground.mixed(BLACK, 0.15)
    else:
        panel = ground.mixed(WHITE, 0.65)
    field = ground.mixed(BLACK, 0.25) if dark else ground.mixed(WHITE, 0.9)
    if text is not None:
        end = BLACK if dark else WHITE
        panel = _away(panel, end, text, lambda one: _seen(one, one, veil, field=False))
        field = _away(field, end, text, lambda one: _seen(one, panel, veil, field=True))
    seen = (*_seen(panel, panel, veil, field=False), *_seen(field, panel, veil, field=True))
    return _Surfaces(dark, panel, field, seen if veil < 1 else (*seen, ground))


def _away(colour: Colour, end: Colour, text: Colour, seen: Callable[[Colour], tuple[Colour, ...]]) -> Colour:
    for step in range(_STEPS + 1):
        moved = colour.mixed(end, step / _STEPS)
        if min(contrast(text, one) for one in seen(moved)) >= AA:
            return moved
    return end


def _is_light(text: Colour) -> bool:
    """Whether words of a colour are read better on black than on white."""
    return contrast(text, BLACK) > contrast(text, WHITE)


def _is_dark(ground: Colour) -> bool:
    return ground.luminance < 0.18


def mode_of(look: Look) -> Literal["auto", "light", "dark"]:
    """Return the mode that a look is always worn in, as it says so, or as its colours are those of one; auto
    where it goes with the browser. Raises RecipeError for what is no colour.
    """
    if look.mode != "auto" or (look.text is None and look.ground is None) or look.theme is not None:
        return look.mode
    return "dark" if _is_light(palette_of(look, dark=False).text) else "light"


def palette_of(look: Look, *, dark: bool) -> Palette:
    """Return the colours of `look` as a browser in the light or the dark mode shows it; a look with a mode of
    its own, or with a colour of its own for text or ground, has the same in both. A colour that the look
    names stays as it is; what is worked out can be read. Light words have dark panels, fields and veil, dark
    ones light, also where the ground that is named goes with them less. Raises RecipeError for what is no
    colour.
    """
    asked_text = None if look.text is None else parse_colour(look.text, "text")
    asked_ground = None if look.ground is None else parse_colour(look.ground, "ground")
    accent = _ACCENT if look.accent is None else parse_colour(look.accent, "accent")
    dark = {"light": False, "dark": True}.get(look.mode, dark)
    if asked_text is not None and asked_ground is None:
        # Words of a given colour have the same behind them in every browser.
        dark = _is_light(asked_text)
    ground = _GROUNDS[dark] if asked_ground is None else asked_ground
    if asked_text is not None and asked_ground is None:
        ground = _away(ground, BLACK if dark else WHITE, asked_text, lambda one: (one,))
    veil = look.veil if look.background is not None else 1.0
    # A look made for one mode is worn in the other as well: then its ground and text decide which it is.
    best = _surfaces(ground, asked_text, veil, dark=_is_dark(ground))
    if asked_text is not None and best.worst(asked_text) < AA:
        turned = _surfaces(ground, asked_text, veil, dark=not best.dark)
        if turned.worst(asked_text) > max(best.worst(asked_text), AA_PARTS):
            best = turned
    panel, field, panels = best.panel, best.field, best.seen
    end, other = (WHITE, BLACK) if best.dark else (BLACK, WHITE)
    text = readable(_TEXTS[best.dark], *panels) if asked_text is None else asked_text
    return Palette(
        dark=dark,
        ground=ground,
        panel=panel,
        field=field,
        border=readable(panel.mixed(end, 0.35), *panels, least=AA_PARTS),
        text=text,
        soft=readable(text.mixed(panel, 0.25), *panels),
        accent=accent,
        on_accent=max((WHITE, BLACK), key=lambda one: contrast(one, accent)),
        mark=readable(accent, *panels, least=AA_PARTS),
        link=readable(accent, *panels),
        danger=_DANGER,
        on_danger=readable(other if end == BLACK else WHITE, _DANGER),
        on_ground=readable(text, ground),
        veil=veil,
    )
