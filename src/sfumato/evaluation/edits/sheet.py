"""A sheet of a task's edits: the pictures of each side by side, with the prompt below them."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from sfumato.evaluation.edits.task import Case
from sfumato.evaluation.grid import wrapped

CELL: Final = 128  # pixels of a picture's longer side, unless it is larger than a model's
WIDTH: Final = 1200  # pixels that a sheet has at least room for
_GAP: Final = 12
_BETWEEN: Final = 4
_LINE: Final = 13
_TEXT: Final = 10
_TITLE_LINES: Final = 2
_INK: Final = (30, 30, 34)
_FAINT: Final = (106, 111, 120)


def draw_edits(cases: Sequence[Case], *, width: int = WIDTH) -> Image.Image:
    """Return a sheet of the pictures of `cases`, which all have equally many. Raises ValueError without any.

    Each picture has its label above it and a longer side of 128 pixels, or of half of the largest picture's.
    """
    shown = [case for case in cases if case.pictures]
    if not shown:
        raise ValueError("a sheet needs pictures")
    font = ImageFont.load_default(_TEXT)
    side = max(CELL, max(max(one.pixels.shape[:2]) for one in shown[0].pictures) // 2)
    number = len(shown[0].pictures)
    wide = number * side + (number - 1) * _BETWEEN
    columns = min(len(shown), max(1, (width - _GAP) // (wide + _GAP)))
    high = _LINE + side + _TITLE_LINES * _LINE
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (_GAP + columns * (wide + _GAP), _GAP + rows * (high + _GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, case in enumerate(shown):
        row, column = divmod(index, columns)
        x, y = _GAP + column * (wide + _GAP), _GAP + row * (high + _GAP)
        for place, one in enumerate(case.pictures):
            left = x + place * (side + _BETWEEN)
            draw.text((left, y), wrapped(one.label, font, side, 1)[0], _FAINT, font)
            picture = Image.fromarray(one.pixels)
            if max(picture.size) != side:
                scale = side / max(picture.size)
                size = [max(1, round(length * scale)) for length in picture.size]
                picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, y + _LINE))
        for line, text in enumerate(wrapped(_title(case), font, wide, _TITLE_LINES)):
            draw.text((x, y + _LINE + side + 2 + line * _LINE), text, _INK, font)
    return sheet


def _title(case: Case) -> str:
    return case.title if not case.group else f"{case.title} ({case.group})"
