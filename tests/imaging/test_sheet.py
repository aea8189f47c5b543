"""A sheet holds every picture in its place, and a page the same."""

import re

import numpy as np
import pytest
from PIL import Image, ImageFont

from sfumato.imaging import sheet as sheets
from sfumato.imaging.sheet import Labels, Layout, Place, draw_sheet, sheet_page

COLOURS = {
    place: (40 * place[0] + 20, 60 * place[1] + 30, 70 * place[2] + 40) for place in np.ndindex(2, 3, 2)
}


def layout(blocks: int = 2, rows: int = 3, columns: int = 2) -> Layout:
    def labels(name: str, count: int) -> Labels | None:
        return Labels(name, tuple(f"{name[0]}{number}" for number in range(count))) if count > 1 else None

    across = Labels("steps", tuple(str(4 * number) for number in range(1, columns + 1)))
    return Layout("a frog", "seed 7", across, labels("guidance", rows), labels("sampler", blocks))


def pictures(size: tuple[int, int] = (64, 64)) -> dict[Place, Image.Image]:
    return {place: Image.new("RGB", size, colour) for place, colour in COLOURS.items()}


def places_of(image: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what has one colour."""
    rows, columns = np.nonzero((np.asarray(image) == colour).all(axis=-1))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_every_picture_stands_whole_in_its_place() -> None:
    image = draw_sheet(layout(), (64, 64), pictures().items())
    boxes = {place: places_of(image, colour) for place, colour in COLOURS.items()}
    for left, top, right, bottom in boxes.values():
        assert (right - left, bottom - top) == (64, 64)
        assert 0 <= left < right <= image.width
        assert 0 <= top < bottom <= image.height
    assert boxes[0, 0, 0][0] < boxes[0, 0, 1][0]
    assert boxes[0, 0, 0][1] < boxes[0, 1, 0][1] < boxes[0, 2, 0][1] < boxes[1, 0, 0][1]
    assert boxes[0, 2, 1][0] == boxes[1, 0, 1][0]


def test_what_is_missing_stays_grey_and_small_pictures_stand_in_the_middle() -> None:
    small = {(0, 0, 0): Image.new("RGB", (32, 16), (200, 0, 0))}
    image = draw_sheet(layout(1, 1, 2), (64, 64), small.items())
    left, top, right, bottom = places_of(image, (200, 0, 0))
    assert (right - left, bottom - top) == (32, 16)
    grey = places_of(image, sheets._EMPTY)
    assert (left - grey[0], top - grey[1]) == (16, 24)
    assert grey[2] - grey[0] == 64 * 2 + sheets._GAP


def test_a_large_sheet_has_smaller_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MAX_SHEET_PIXELS", 12 * 100 * 100)
    image = draw_sheet(layout(), (400, 400), pictures((400, 400)).items())
    left, _, right, _ = places_of(image, COLOURS[1, 2, 1])
    assert right - left == 100


@pytest.mark.parametrize(
    "words",
    ["short", "a very long label " * 20, "x" * 5000, "", "a\nb\x00c", "日本語 " * 40, "🦊" * 90],
    ids=["short", "long", "no spaces", "empty", "controls", "Japanese", "foxes"],
)
def test_labels_fit_whatever_they_say(words: str) -> None:
    font = ImageFont.load_default(13)
    lines = sheets._wrapped(words, font, 100, 3)
    assert len(lines) <= 3
    assert all(font.getlength(line) <= 100 for line in lines)
    made = Layout(words, words, Labels(words, (words, words)), Labels(words, (words,)))
    assert draw_sheet(made, (64, 64), []).width < 600


def test_the_page_holds_every_picture_with_its_words() -> None:
    sources = {place: f"data:image/webp;base64,{number}" for number, place in enumerate(COLOURS)}
    del sources[1, 2, 1]
    page = sheet_page(layout(), sources)
    assert page.count("<table>") == 2
    assert page.count("<img") == 11
    assert page.count("not drawn") == 1
    assert '<th scope="col">steps: 8</th>' in page
    assert '<th scope="row">guidance: g2</th>' in page
    assert re.search(r'alt="sampler: s1, guidance: g0, steps: 4" src="data:image/webp;base64,6"', page)
    assert "http" not in page.replace("http-equiv", "")


def test_words_of_a_page_are_no_markup() -> None:
    nasty = Layout("<img src=x>", "<b>", Labels("<i>", ("<u>",)))
    page = sheet_page(nasty, {})
    assert not re.search(r"<(img|b|i|u)[ >]", page)
