"""A sheet of judged pictures: each with its prompt, and what the judge saw in green or red."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from sfumato.evaluation.prompts import SECTIONS
from sfumato.evaluation.report import Sample

CELL: Final = 128  # pixels of a picture's longer side
_GAP: Final = 10
_FRAME: Final = 3
_LINE: Final = 13
_PROMPT_LINES: Final = 3
_ANSWER_LINES: Final = 4
_HEADING: Final = 26
_TEXT: Final = 10
_GREEN: Final = (22, 128, 60)
_RED: Final = (200, 40, 40)
_INK: Final = (30, 30, 34)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_grid(samples: Sequence[Sample], *, columns: int = 8, rows: int = 2) -> Image.Image:
    """Return a sheet of the first `columns * rows` samples of every section, under the section's title.

    A picture has a green frame when everything asked about it is right; below it stand the prompt and, per
    question, "+" and what the judge saw, or "-" and what it saw instead. Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("a sheet needs pictures")
    groups = [(section.title, _of(samples, section.name)[: columns * rows]) for section in SECTIONS]
    groups = [(title, group) for title, group in groups if group]
    cell_width = CELL + 2 * _FRAME + _GAP
    cell_height = CELL + 2 * _FRAME + (_PROMPT_LINES + _ANSWER_LINES) * _LINE + _GAP
    height = sum(_HEADING + -(-len(group) // columns) * cell_height for _, group in groups)
    sheet = Image.new("RGB", (columns * cell_width + _GAP, height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT + 5)
    y = _GAP
    for title, group in groups:
        draw.text((_GAP, y), title, _INK, large)
        y += _HEADING
        for index, sample in enumerate(group):
            row, column = divmod(index, columns)
            _cell(sheet, draw, sample, _GAP + column * cell_width, y + row * cell_height, small)
        y += -(-len(group) // columns) * cell_height
    return sheet


def _of(samples: Sequence[Sample], section: str) -> list[Sample]:
    return [sample for sample in samples if sample.judgement.asked.section == section]


def _cell(sheet: Image.Image, draw: ImageDraw.ImageDraw, sample: Sample, x: int, y: int, font: _Font) -> None:
    judgement = sample.judgement
    side = CELL + 2 * _FRAME
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=_GREEN if judgement.right else _RED)
    picture = Image.fromarray(sample.pixels)
    scale = CELL / max(picture.size)
    if scale != 1:
        width, height = (max(1, round(length * scale)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    sheet.paste(
        picture, (x + _FRAME + (CELL - picture.width) // 2, y + _FRAME + (CELL - picture.height) // 2)
    )
    y += side + 2
    for line in wrapped(judgement.asked.prompt, font, side, _PROMPT_LINES):
        draw.text((x, y), line, _INK, font)
        y += _LINE
    for answer in judgement.answers[:_ANSWER_LINES]:
        text = f"{'+' if answer.right else '-'} {answer.seen}"
        draw.text((x, y), wrapped(text, font, side, 1)[0], _GREEN if answer.right else _RED, font)
        y += _LINE


def wrapped(text: str, font: _Font, width: float, lines: int) -> list[str]:
    """Break `text` at spaces into at most `lines` lines of `width` pixels; what is too long ends in "..."."""
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if not found[-1] or font.getlength(longer) <= width:
            found[-1] = longer
        else:
            found.append(word)
    kept = found[:lines]
    if len(found) > lines or font.getlength(kept[-1]) > width:
        while kept[-1] and font.getlength(kept[-1] + "...") > width:
            kept[-1] = kept[-1][:-1]
        kept[-1] += "..."
    return kept
