"""Pages load nothing, and text in them stays text."""

import base64
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sfumato.imaging.pages import data_of, page, picture_source, text

NASTY = '</script><img src=x onerror=alert(1)> & "quotes" \''


class Elements(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)


def test_a_page_may_load_nothing_and_has_light_and_dark() -> None:
    source = page("a frog", "<p>body</p>", style=".x { color: red }", script="let a = 1;")
    assert "default-src 'none'" in source
    assert "http:" not in source
    assert "https:" not in source
    assert "prefers-color-scheme: dark" in source
    assert Elements(source).names == [
        "html",
        "head",
        "meta",
        "meta",
        "meta",
        "title",
        "style",
        "body",
        "p",
        "script",
    ]
    assert "<script" not in page("a frog", "<p>body</p>")


def test_text_and_data_bring_in_no_elements() -> None:
    data = f'<script type="application/json">{data_of([NASTY])}</script>'
    body = f'<p title="{text(NASTY)}">{text(NASTY)}</p>{data}'
    names = Elements(page(NASTY, body)).names
    assert "img" not in names
    assert names.count("script") == 1


def test_a_lone_surrogate_can_be_written() -> None:
    assert text("a\ud83eb").encode() == b"a\\ud83eb"
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_of(float("nan"))


def test_a_picture_is_its_own_address_and_not_too_large() -> None:
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[:, 50:] = (250, 20, 20)
    head, data = picture_source(pixels, 64).split(",")
    assert head == "data:image/webp;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as image:
        assert image.size == (64, 32)
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(shown[16, 50] - (250, 20, 20)).max() < 12
