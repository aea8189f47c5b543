"""The tab Edit, as a person meets it: a picture is taken along, painted over, and made larger; boxes say what
goes where.
"""

import re
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from served_studio import Served
from sfumato.recipe.image import Resolved
from sfumato.serving.desk import ALONE
from studio_axe import findings
from studio_pages import WAIT, draw, drawn, drop, go_to, next_frame, on_canvas

CANVAS = "#sf-canvas canvas"


@pytest.fixture
def editing(page: Page) -> Page:
    """The tab Edit with a picture on its canvas."""
    draw(page, "a frog on a beach")
    page.locator("#sf-create-results img").first.wait_for()
    page.get_by_role("button", name="Edit this").first.click()
    on_canvas(page)
    expect(page.get_by_role("tab", name="Edit", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#sf-edit-prompt textarea")).to_have_value("a frog on a beach")
    return page


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def newest(studio: Served) -> NDArray[np.uint8]:
    kept = studio.desk.gallery.search(ALONE, limit=1)[0]
    return pixels(kept.path.read_bytes())


def newest_run(studio: Served) -> Resolved:
    return studio.desk.gallery.resolved(studio.desk.gallery.search(ALONE, limit=1)[0])


def drag(page: Page, place: Locator, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one point of `place` to another, in shares of its sides."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=6)
    page.mouse.up()


def paint(page: Page) -> None:
    """Paint over the middle of the picture, and wait until the canvas has sent that."""
    box = page.locator(CANVAS).first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y)
    page.mouse.down()
    for step in range(-30, 31, 6):
        page.mouse.move(x + step, y + step % 4)
        next_frame(page)
    with page.expect_request("**/component_server/**", timeout=WAIT):
        page.mouse.up()


def edited(page: Page) -> None:
    page.click("#sf-edit-draw")
    # Passes and regions are several drawings' work.
    expect(page.locator("#sf-edit-progress")).to_contain_text("Done in", timeout=3 * WAIT)
    page.wait_for_selector("#sf-edit-results img")


def test_what_is_painted_over_is_drawn_anew_and_nothing_else(editing: Page, studio: Served) -> None:
    before = pixels(drawn(editing))
    editing.get_by_label("Repaint what is marked").check()
    expect(editing.get_by_label("Soft edge, pixels").first).to_be_visible()
    editing.click("#sf-edit-draw")
    problem = editing.locator("#sf-edit-progress [role=alert]")
    expect(problem).to_contain_text("Paint over what is to be drawn anew first.", timeout=WAIT)
    paint(editing)
    editing.fill("#sf-edit-prompt textarea", "a rabbit on a beach")
    edited(editing)
    after = newest(studio)
    assert after.shape == before.shape
    changed = (after != before).any(axis=2)
    assert changed[48:80, 48:80].mean() > 0.5
    assert not changed[:8].any()
    assert not changed[-8:].any()
    expect(editing.locator("#sf-edit-slider")).to_be_visible()
    # The mask stays for the next drawing.
    first = newest_run(studio).mask
    editing.fill("#sf-edit-prompt textarea", "a cat on a beach")
    editing.click("#sf-edit-draw")
    expect(editing.locator("#sf-edit-results")).to_contain_text("a cat on a beach", timeout=WAIT)
    assert first is not None
    assert newest_run(studio).mask == first


def test_more_is_drawn_around_it_where_the_frame_was_dragged(editing: Page, studio: Served) -> None:
    before = pixels(drawn(editing))
    editing.get_by_label("More around it").check()
    expect(editing.locator("#sf-extend img")).to_have_attribute("src", re.compile("^data:"), timeout=WAIT)
    told = editing.locator("#sf-extend output")
    right = editing.get_by_role("slider", name="Pixels added at the right")
    typed = {side: editing.get_by_label(side, exact=True) for side in ("Left", "Right", "Top", "Bottom")}
    # Numbers move the frame, the mouse and the keyboard give numbers.
    typed["Right"].fill("16")
    expect(right).to_have_attribute("aria-valuenow", "16")
    typed["Left"].fill("0")
    expect(told).to_have_text("128 x 128 becomes 144 x 128 pixels")
    drag(editing, right, (0.5, 0.5), (3, 0.5))
    pulled = int(right.get_attribute("aria-valuenow") or 0)
    assert pulled > 16
    assert pulled % 8 == 0
    expect(typed["Right"]).to_have_value(str(pulled))
    right.press("ArrowLeft")
    expect(typed["Right"]).to_have_value(str(pulled - 8))
    right.press("Shift+ArrowRight")
    expect(typed["Right"]).to_have_value(str(pulled + 24))
    right.press("Home")
    right.press("Shift+ArrowRight")
    expect(typed["Right"]).to_have_value("32")
    expect(right).to_have_attribute("aria-valuetext", "32 pixels, 160 x 128 pixels")
    edited(editing)
    after = newest(studio)
    assert after.shape == (128, 160, 3)
    np.testing.assert_array_equal(after[:, :128], before)
    expect(editing.locator("#sf-edit-slider")).to_be_visible()
    editing.get_by_role("button", name="Go on with this").click()
    expect(told).to_have_text("160 x 128 becomes 192 x 128 pixels", timeout=WAIT)


def test_boxes_say_what_goes_where(page: Page, studio: Served) -> None:
    go_to(page, "Edit")
    page.get_by_label("Say what goes where").check()
    page.get_by_role("radio", name="Wide 160 x 104").last.check()
    frame = page.locator("#sf-boxes .sf-frame")
    expect(frame).to_have_css("aspect-ratio", "160 / 104", timeout=WAIT)
    drag(page, frame, (0.05, 0.1), (0.45, 0.9))
    page.keyboard.type("a rocket")  # where somebody types is where they drew
    expect(page.get_by_label("Box 1: Width")).to_have_value("0.4")
    page.get_by_role("button", name="Add a box").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("a frog")
    page.get_by_label("Box 2: Height").fill("0.75")
    second = page.locator(".sf-box-2[role=group]")
    second.press("ArrowDown")
    second.press("Shift+ArrowLeft")
    expect(page.get_by_label("Box 2: Top")).to_have_value("0.05")
    expect(page.get_by_label("Box 2: Width")).to_have_value("0.45")
    drag(page, second, (0.5, 0.5), (0.45, 0.5))
    expect(page.get_by_label("Box 2: Left")).to_have_value("0.48")
    page.get_by_role("button", name="Add a box").click()
    page.get_by_role("button", name="Remove: Box 3").click()
    expect(page.locator(".sf-box-row:visible")).to_have_count(2)
    page.fill("#sf-edit-prompt textarea", "a beach")
    assert [str(one) for one in findings(page, tabs=["Edit"]) if not one.excused] == []
    edited(page)
    run = newest_run(studio)
    assert (run.width, run.height) == (160, 104)
    assert run.regions is not None
    assert [(one.prompt, one.box) for one in run.regions.regions] == [
        ("a rocket", (0.05, 0.1, 0.4, 0.8)),
        ("a frog", (0.48, 0.05, 0.45, 0.75)),
    ]


def test_a_picture_that_is_still_on_its_way_is_drawn_with(page: Page, studio: Served) -> None:
    """Gradio's canvas reads a file after it fell, and had none when Draw was pressed in the same moment."""
    go_to(page, "Edit")
    page.fill("#sf-edit-prompt textarea", "a boat")
    # Gradio has a canvas before it can take anything: then it says how large it shows that.
    expect(page.locator("#sf-canvas")).to_contain_text("%", timeout=WAIT)
    before = studio.desk.queue.of("me")
    page.locator("#sf-edit-draw").evaluate(
        """(draw) => {
          const press = () => { draw.click(); draw.click(); };
          document.addEventListener("drop", () => setTimeout(press), {once: true, capture: true});
        }"""
    )
    written = BytesIO()
    Image.new("RGB", (128, 128), "teal").save(written, "PNG")
    drop(page.locator("#sf-canvas button").first, "sea.png", written.getvalue())
    expect(page.locator("#sf-edit-progress")).to_contain_text("Done in", timeout=2 * WAIT)
    assert newest_run(studio).image is not None
    assert len(studio.desk.queue.of("me")) == len(before) + 1  # though it was pressed twice


def test_an_empty_canvas_is_said_kindly(page: Page) -> None:
    page.get_by_role("tab", name="Edit", exact=True).click()
    page.click("#sf-edit-draw")
    problem = page.locator("#sf-edit-progress [role=alert]")
    expect(problem).to_contain_text("Say what you would like to see.", timeout=WAIT)
    page.fill("#sf-edit-prompt textarea", "a frog")
    page.click("#sf-edit-draw")
    expect(page.locator("#sf-edit-progress [role=alert]")).to_contain_text(
        "Put a picture on the canvas first.", timeout=WAIT
    )
