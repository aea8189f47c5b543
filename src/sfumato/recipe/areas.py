"""Rectangles as people write them: "left", "top-right", "32,16,64x48" (pixels), "0.5,0,0.5,1" (fractions)."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Strict

from sfumato.errors import RecipeError, closest

Box = tuple[float, float, float, float]  # left, top, width, height

NAMED_AREAS: Final = MappingProxyType(
    {
        "all": (0.0, 0.0, 1.0, 1.0),
        "left": (0.0, 0.0, 0.5, 1.0),
        "right": (0.5, 0.0, 0.5, 1.0),
        "top": (0.0, 0.0, 1.0, 0.5),
        "bottom": (0.0, 0.5, 1.0, 0.5),
        "center": (0.25, 0.25, 0.5, 0.5),
        "top-left": (0.0, 0.0, 0.5, 0.5),
        "top-right": (0.5, 0.0, 0.5, 0.5),
        "bottom-left": (0.0, 0.5, 0.5, 0.5),
        "bottom-right": (0.5, 0.5, 0.5, 0.5),
    }
)
"""Left, top, width and height as fractions of the picture."""

_ALIASES: Final = {"centre": "center", "middle": "center", "whole": "all", "upper": "top", "lower": "bottom"}
_NUMBER: Final = r"\s*(\d{1,6}(?:\.\d{1,40})?(?:e-\d{1,3})?)\s*"  # recipes write 1e-05
_PIXELS: Final = re.compile(rf"{_NUMBER},{_NUMBER},{_NUMBER}[xX×]{_NUMBER}")  # noqa: RUF001 - as pasted
_FRACTIONS: Final = re.compile(rf"{_NUMBER}(%?)\s*,{_NUMBER}(%?)\s*,{_NUMBER}(%?)\s*,{_NUMBER}(%?)\s*")
_HINT: Final = 'Write a name (left, top-right, center), "LEFT,TOP,WIDTHxHEIGHT" in pixels, or four fractions.'


@dataclass(frozen=True)
class Area:
    """A rectangle `(left, top, width, height)`, in pixels or in fractions of the picture's sides."""

    box: Box
    in_pixels: bool

    def fractions(self, width: int, height: int, field: str = "area") -> Box:
        """Return it in fractions of a picture of `width` x `height`. Raises RecipeError, about `field`, when
        it reaches outside.
        """
        left, top, wide, high = self.box
        if not self.in_pixels:
            return self.box
        if left + wide > width or top + high > height:
            raise RecipeError(
                f"reaches outside the picture of {width}x{height}",
                field=field,
                value=f"{left:g},{top:g},{wide:g}x{high:g}",
                hint="Left and top count from the upper left corner.",
            )
        return left / width, top / height, wide / width, high / height

    def pixels(self, width: int, height: int, field: str = "area") -> tuple[int, int, int, int]:
        """Return `(left, top, right, bottom)` in whole pixels, right and bottom exclusive, at least one pixel
        each way. Raises RecipeError, about `field`, when it reaches outside.
        """
        left, top, wide, high = self.fractions(width, height, field)
        columns = round(left * width), round((left + wide) * width)
        rows = round(top * height), round((top + high) * height)
        first_column, first_row = min(columns[0], width - 1), min(rows[0], height - 1)
        return first_column, first_row, max(columns[1], first_column + 1), max(rows[1], first_row + 1)


def parse_area(text: str, field: str = "area") -> Area:
    """Return the rectangle that `text` names. Raises RecipeError about `field`."""
    word = text.strip().casefold().replace("_", "-").replace(" ", "-")
    word = "-".join(_ALIASES.get(part, part) for part in word.split("-"))
    if word in NAMED_AREAS:
        return Area(NAMED_AREAS[word], in_pixels=False)
    if (match := _PIXELS.fullmatch(text)) is not None:
        left, top, width, height = (float(number) for number in match.groups())
        return _checked(text, field, (left, top, width, height), in_pixels=True)
    if (match := _FRACTIONS.fullmatch(text)) is not None:
        parts = match.groups()
        numbers = [float(n) / (100 if sign else 1) for n, sign in zip(parts[::2], parts[1::2], strict=True)]
        left, top, width, height = numbers
        return _checked(text, field, (left, top, width, height), in_pixels=False)
    near = closest(word, NAMED_AREAS)
    guess = "" if near is None else f"Did you mean {near}? "
    raise RecipeError("is no rectangle", field=field, value=text, hint=f"{guess}{_HINT}")


def _checked(text: str, field: str, box: Box, *, in_pixels: bool) -> Area:
    left, top, width, height = box
    if width <= 0 or height <= 0:
        raise RecipeError("is empty", field=field, value=text, hint="Give a width and a height above 0.")
    if not in_pixels and (left + width > 1 + 1e-9 or top + height > 1 + 1e-9):
        raise RecipeError(
            "reaches outside the picture",
            field=field,
            value=text,
            hint='In fractions, left + width is at most 1; for pixels write "LEFT,TOP,WIDTHxHEIGHT".',
        )
    if not in_pixels:  # a rounding above 1 is no fraction any more
        box = min(left, 1.0), min(top, 1.0), min(width, 1.0), min(height, 1.0)
    return Area(box, in_pixels)


def _written(text: str) -> str:
    try:
        parse_area(text)
    except RecipeError as error:
        hint = "" if error.hint is None else f" ({error.hint.rstrip('.')})"
        raise ValueError(f"{error.message}: {text[:60]!r}{hint}") from None
    return text.strip()


AreaText = Annotated[str, Strict(), Field(max_length=200), AfterValidator(_written)]
