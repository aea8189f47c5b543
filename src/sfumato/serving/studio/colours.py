"""Colours that can be read: contrast as WCAG 2.2 defines it, and what follows from one accent colour."""

import re
from dataclasses import dataclass
from typing import Final

from sfumato.errors import RecipeError

AA: Final = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of a usual size
AA_PARTS: Final = 3.0  # and 1.4.11, for borders of what can be clicked
_HEX: Final = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_STEPS: Final = 50


@dataclass(frozen=True)
class Colour:
    """An opaque colour of sRGB; `red`, `green` and `blue` in 0 to 255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def luminance(self) -> float:
        """How bright it is, 0 to 1 (WCAG 2.2, "relative luminance")."""
        red, green, blue = (_linear(one / 255) for one in (self.red, self.green, self.blue))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def mixed(self, other: "Colour", share: float) -> "Colour":
        """Return this colour with a `share` of another, 0 to 1: what shows of it under a veil."""
        pairs = ((self.red, other.red), (self.green, other.green), (self.blue, other.blue))
        return Colour(*(round(mine + (its - mine) * share) for mine, its in pairs))

    def veiled(self, share: float) -> str:
        """Return it for CSS, covering this `share` of what lies behind."""
        return f"rgba({self.red}, {self.green}, {self.blue}, {share:g})"


BLACK: Final = Colour(0, 0, 0)
WHITE: Final = Colour(255, 255, 255)


def parse_colour(text: str, field: str) -> Colour:
    """Return the colour written as #rgb or #rrggbb. Raises RecipeError naming `field`."""
    found = _HEX.fullmatch(text.strip())
    if found is None:
        hint = "Write it as #rrggbb, for example #2f6f4f."
        raise RecipeError("is no colour", field=field, value=text, hint=hint)
    digits = found[1] if len(found[1]) == 6 else "".join(2 * one for one in found[1])
    return Colour(*(int(digits[place : place + 2], 16) for place in (0, 2, 4)))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: Colour, *grounds: Colour, least: float = AA) -> Colour:
    """Return `colour`, made lighter or darker just so far that it can be read on all `grounds`.

    Where neither goes far enough, black or white, whichever is read better.
    """

    def worst(one: Colour) -> float:
        return min(contrast(one, ground) for ground in grounds)

    if worst(colour) >= least:
        return colour
    for step in range(1, _STEPS + 1):
        tried = [colour.mixed(end, step / _STEPS) for end in (BLACK, WHITE)]
        best = max(tried, key=worst)
        if worst(best) >= least:
            return best
    return max((BLACK, WHITE), key=worst)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
