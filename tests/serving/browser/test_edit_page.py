"""The tab Edit, as a person meets it: a picture is taken along, painted over, and made larger."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.desk import ALONE
from studio_pages import WAIT, draw, drawn

CANVAS = "#sf-canvas canvas"


@pytest.fixture
def editing(page: Page) -> Page:
    """The tab Edit with a picture on its canvas."""
    draw(page, "a frog on a beach")
    page.locator("#sf-create-results img").first.wait_for()
    page.get_by_role("button", name="Edit this").first.click()
    expect(page.get_by_role("tab", name="Edit", exact=True)).to_have_attribute("aria-selected", "true")
    page.locator(CANVAS).first.wait_for()
    expect(page.locator("#sf-edit-prompt textarea")).to_have_value("a frog on a beach")
    return page


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def newest(studio: Served) -> NDArray[np.uint8]:
    kept = studio.desk.gallery.search(ALONE, limit=1)[0]
    return pixels(kept.path.read_bytes())


def paint(page: Page) -> None:
    """Paint over the middle of the picture."""
    page.wait_for_timeout(1500)  # the canvas fits the picture into itself
    box = page.locator(CANVAS).first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y)
    page.mouse.down()
    for step in range(-30, 31, 6):
        page.mouse.move(x + step, y + step % 4)
        page.wait_for_timeout(20)
    page.mouse.up()
    page.wait_for_timeout(500)


def edited(page: Page) -> None:
    page.click("#sf-edit-draw")
    expect(page.locator("#sf-edit-progress")).to_contain_text("Done in", timeout=WAIT)
    page.wait_for_selector("#sf-edit-results img")


def test_what_is_painted_over_is_drawn_anew_and_nothing_else(editing: Page, studio: Served) -> None:
    before = pixels(drawn(editing))
    editing.get_by_label("Repaint what is marked").check()
    paint(editing)
    editing.fill("#sf-edit-prompt textarea", "a rabbit on a beach")
    edited(editing)
    after = newest(studio)
    assert after.shape == before.shape
    changed = (after != before).any(axis=2)
    assert changed[48:80, 48:80].mean() > 0.5
    assert not changed[:8].any()
    assert not changed[-8:].any()
    expect(editing.get_by_text("Before and after")).to_be_visible()


def test_more_is_drawn_around_it_and_it_stays(editing: Page, studio: Served) -> None:
    before = pixels(drawn(editing))
    editing.get_by_label("More around it").check()
    editing.get_by_label("Right", exact=True).fill("64")
    for side in ("Left", "Top", "Bottom"):
        editing.get_by_label(side, exact=True).fill("0")
    edited(editing)
    after = newest(studio)
    assert after.shape == (128, 192, 3)
    np.testing.assert_array_equal(after[:, :128], before)


def test_an_empty_canvas_is_said_kindly(page: Page) -> None:
    page.get_by_role("tab", name="Edit", exact=True).click()
    page.click("#sf-edit-draw")
    expect(page.locator("#sf-edit-progress [role=alert]")).to_contain_text(
        "picture: is missing", timeout=WAIT
    )
