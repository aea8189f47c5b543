"""Pictures that differ in two or three things, side by side on one labelled sheet: as a picture, and as a
page of its own.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from sfumato.imaging.pages import page, text

Place = tuple[int, int, int]  # the number of the block, the row and the column, each from 0

MAX_SHEET_PIXELS: Final = 40_000_000
_GAP: Final = 8
_LINE: Final = 16
_SIZE: Final = 13  # of the letters
_LINES: Final = 4  # of a label at most
_SIDE: Final = 140  # pixels that the labels of rows may take
_LEAST_CELL: Final = 64
_PAPER: Final = (251, 250, 247)
_INK: Final = (34, 37, 43)
_FAINT: Final = (106, 111, 120)
_EMPTY: Final = (226, 223, 215)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Labels:
    """What differs along one direction: the name of the setting, and its values in order."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A sheet's words: its title, a line of what all pictures share, and what differs `across` the columns,
    `down` the rows, and from one of the `blocks` to the next; a direction may be None.
    """

    title: str
    facts: str
    across: Labels
    down: Labels | None = None
    blocks: Labels | None = None

    @property
    def shape(self) -> Place:
        """The number of blocks, of rows and of columns."""
        return _count(self.blocks), _count(self.down), _count(self.across)


def draw_sheet(
    layout: Layout, size: tuple[int, int], pictures: Iterable[tuple[Place, Image.Image]]
) -> Image.Image:
    """Return the sheet. `size` is the (width, height) of the largest picture; what is missing stays grey.

    Cells are smaller than pictures where the sheet would have more than 40 million pixels.
    """
    blocks, rows, columns = layout.shape
    cell = _cell_size(size, blocks * rows * columns)
    font, large = ImageFont.load_default(_SIZE), ImageFont.load_default(_SIZE + 5)
    left = _GAP + _side(layout.down, font)
    width = left + columns * (cell[0] + _GAP)
    title = _wrapped(layout.title, large, width - 2 * _GAP, _LINES)
    facts = _wrapped(layout.facts, font, width - 2 * _GAP, _LINES)
    head = _GAP + len(title) * (_LINE + 6) + len(facts) * _LINE + _GAP
    heading = 0 if layout.blocks is None else _LINE + 6 + _GAP
    names = [_wrapped(_said(layout.across, column), font, cell[0], _LINES) for column in range(columns)]
    top = max(map(len, names)) * _LINE + 4
    block = heading + top + rows * (cell[1] + _GAP) + _GAP
    sheet = Image.new("RGB", (width, head + blocks * block), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _lines(draw, title, _GAP, _GAP, large, _INK, _LINE + 6)
    _lines(draw, facts, _GAP, _GAP + len(title) * (_LINE + 6), font, _FAINT, _LINE)

    def corner(place: Place) -> tuple[int, int]:
        y = head + place[0] * block + heading + top + place[1] * (cell[1] + _GAP)
        return left + place[2] * (cell[0] + _GAP), y

    for number in range(blocks):
        x, y = corner((number, 0, 0))
        if layout.blocks is not None:
            heads = _wrapped(_said(layout.blocks, number), large, width - 2 * _GAP, 1)
            _lines(draw, heads, _GAP, y - top - heading, large, _INK, _LINE)
        for column, lines in enumerate(names):
            _lines(draw, lines, corner((number, 0, column))[0], y - top, font, _INK, _LINE)
        for row in range(rows):
            if layout.down is not None:
                lines = _wrapped(_said(layout.down, row), font, left - 2 * _GAP, cell[1] // _LINE)
                _lines(draw, lines, _GAP, corner((number, row, 0))[1], font, _INK, _LINE)
            for column in range(columns):
                x, y = corner((number, row, column))
                draw.rectangle((x, y, x + cell[0] - 1, y + cell[1] - 1), _EMPTY)
    for place, picture in pictures:
        shown = picture.convert("RGB")
        if shown.width > cell[0] or shown.height > cell[1]:
            shown.thumbnail(cell, Image.Resampling.LANCZOS)
        x, y = corner(place)
        sheet.paste(shown, (x + (cell[0] - shown.width) // 2, y + (cell[1] - shown.height) // 2))
    return sheet


def sheet_page(layout: Layout, sources: Mapping[Place, str]) -> str:
    """Return the sheet as an HTML page; `sources` are the addresses of its pictures."""
    blocks, rows, columns = layout.shape
    tables: list[str] = []
    for number in range(blocks):
        caption = "" if layout.blocks is None else f"<h2>{text(_said(layout.blocks, number))}</h2>\n"
        corner = "" if layout.down is None else "<td></td>"
        names = "".join(
            f'<th scope="col">{text(_said(layout.across, column))}</th>' for column in range(columns)
        )
        body: list[str] = []
        for row in range(rows):
            name = "" if layout.down is None else f'<th scope="row">{text(_said(layout.down, row))}</th>'
            cells = "".join(_cell(layout, (number, row, column), sources) for column in range(columns))
            body.append(f"<tr>{name}{cells}</tr>")
        table = f"<table>\n<thead><tr>{corner}{names}</tr></thead>\n<tbody>\n" + "\n".join(body)
        tables.append(f'{caption}<div class="wide">{table}\n</tbody>\n</table></div>')
    parts = [f"<h1>{text(layout.title)}</h1>", f'<p class="faint">{text(layout.facts)}</p>', *tables]
    return page(layout.title, "\n".join(parts), style=_STYLE)


_STYLE: Final = """\
.wide { overflow-x: auto; }
table { border-collapse: separate; border-spacing: .5rem; }
th { font-weight: 600; text-align: left; vertical-align: bottom; max-width: 16rem;
  overflow-wrap: anywhere; }
tbody th { vertical-align: top; min-width: 6rem; }
td { vertical-align: top; }
td img { max-width: none; }
"""


def _cell(layout: Layout, place: Place, sources: Mapping[Place, str]) -> str:
    if place not in sources:
        return '<td class="faint">not drawn</td>'
    directions = zip((layout.blocks, layout.down, layout.across), place, strict=True)
    said = ", ".join(_said(labels, number) for labels, number in directions if labels is not None)
    return f'<td><img alt="{text(said)}" src="{sources[place]}"></td>'


def _said(labels: Labels, number: int) -> str:
    return f"{labels.name}: {labels.values[number]}"


def _count(labels: Labels | None) -> int:
    return 1 if labels is None else len(labels.values)


def _side(down: Labels | None, font: _Font) -> int:
    """Return the pixels that the labels of rows take, with a gap."""
    if down is None:
        return 0
    longest = max(font.getlength(_said(down, row)[:1000]) for row in range(len(down.values)))
    return min(_SIDE, math.ceil(longest)) + _GAP


def _cell_size(size: tuple[int, int], cells: int) -> tuple[int, int]:
    most = MAX_SHEET_PIXELS / cells
    scale = min(1.0, math.sqrt(most / (size[0] * size[1])))
    width, height = (max(_LEAST_CELL, math.floor(side * scale)) for side in size)
    return width, height


def _lines(
    draw: ImageDraw.ImageDraw,
    lines: list[str],
    x: int,
    y: int,
    font: _Font,
    colour: tuple[int, int, int],
    height: int,
) -> None:
    for number, line in enumerate(lines):
        draw.text((x, y + number * height), line, colour, font)


def _wrapped(words: str, font: _Font, width: float, lines: int) -> list[str]:
    """Break `words` at spaces, and where it must be inside a word, into at most `lines` lines of `width`
    pixels; what does not fit ends in "...".
    """
    found: list[str] = []
    left = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    while left and len(found) < max(1, lines):
        fits = _fitting(left, font, width)
        if fits < len(left) and " " in left[: fits + 1]:
            fits = left[: fits + 1].rindex(" ")
        found.append(left[:fits].rstrip())
        left = left[fits:].lstrip()
    if left:
        last = found[-1]
        while last and font.getlength(last + "...") > width:
            last = last[:-1]
        found[-1] = last.rstrip() + "..."
    return found


def _fitting(words: str, font: _Font, width: float) -> int:
    """Return how many of the letters fit into `width` pixels, at least one."""
    low, high = 1, min(len(words), 1000)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(words[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low
