"""The colours of a look, worked out: from ground, text and accent to all that a page is painted with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
_COVERED: Final = 0.9  # of what lies behind, by fields: more than by panels, so that what is typed stands out


@dataclass(frozen=True)
class Palette:
    """What a page is painted with, in one mode. `ground` lies behind all, `panel` under forms, `field` under
    what is typed; `veil` is how much panels cover of a picture behind them. `soft` is text of less weight.
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
    veil: float

    def pairs(self) -> Iterator[tuple[str, Colour, Colour, float]]:
        """Yield what has to be read, on what, and the contrast that WCAG 2.2 AA asks of it. Where a picture
        shows through panels, both the darkest and the brightest that it can make of them count.
        """
        for name, text in (("text", self.text), ("soft text", self.soft), ("links", self.link)):
            for place, grounds in self._places().items():
                for seen in grounds:
                    yield f"{name} on {place}", text, seen, AA
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
    veils = tuple(panel.mixed(behind, 1 - veil) for behind in (BLACK, WHITE))
    return tuple(ground.mixed(one, 1 - max(veil, _COVERED)) for one in veils) if field else veils


def palette_of(look: Look, *, dark: bool) -> Palette:
    """Return the colours of `look` as a browser in the light or the dark mode shows it; a look with a mode of
    its own has the same in both. A colour that the look names stays as it is; what is worked out can always
    be read. Raises RecipeError for what is no colour.
    """
    dark = {"light": False, "dark": True}.get(look.mode, dark)
    asked_text = None if look.text is None else parse_colour(look.text, "text")
    asked_ground = None if look.ground is None else parse_colour(look.ground, "ground")
    accent = _ACCENT if look.accent is None else parse_colour(look.accent, "accent")
    ground = _GROUNDS[dark] if asked_ground is None else asked_ground
    # A look made for one mode is worn in the other as well: then its ground and text decide which it is.
    end, other = (WHITE, BLACK) if ground.luminance < 0.18 else (BLACK, WHITE)
    if end == WHITE:
        # A ground of a middling brightness leaves white words no room for a lighter panel.
        lighter = ground.mixed(WHITE, 0.05)
        panel = lighter if contrast(WHITE, lighter) > _ROOM else ground.mixed(BLACK, 0.15)
    else:
        panel = ground.mixed(WHITE, 0.65)
    field = ground.mixed(BLACK, 0.25) if end == WHITE else ground.mixed(WHITE, 0.9)
    veil = look.veil if look.background is not None else 1.0
    panels = [*_seen(panel, panel, veil, field=False), *_seen(field, panel, veil, field=True)]
    if veil >= 1:
        panels.append(ground)
    text = readable(_TEXTS[end == WHITE], *panels) if asked_text is None else asked_text
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
        veil=veil,
    )
