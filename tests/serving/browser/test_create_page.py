"""The tab Create, as a person meets it."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

from served_studio import Served, bundled_settings
from sfumato.imaging.metadata import read_metadata
from sfumato.models.load import find_model
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Resolved
from studio_pages import WAIT, OpenPage, draw, drawn, drop, open_advanced

PROGRESS = "#sf-create-progress"
SEED = re.compile("^Seed")
PARAMETERS = """a red fox at night
Negative prompt: snow
Steps: 9, Sampler: Euler a, CFG scale: 5, Seed: 42, Size: 160x104"""


@pytest.fixture
def busy(open_page: OpenPage, studio: Served) -> Page:
    """A page on which something is drawn that takes long."""
    page = open_page(studio)
    open_advanced(page)
    page.get_by_label("Steps").fill("1000")
    page.fill("#sf-prompt textarea", "a frog")
    page.click("#sf-generate")
    expect(page.locator(PROGRESS)).to_contain_text("of 1000", timeout=WAIT)
    return page


def png(**texts: str) -> bytes:
    """Return a small picture with texts in it."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    written = BytesIO()
    Image.new("RGB", (16, 16), "teal").save(written, "PNG", pnginfo=info)
    return written.getvalue()


def test_the_first_picture_is_one_click_away(page: Page, tmp_path: Path) -> None:
    draw(page, "a frog on a beach")
    picture = page.locator("#sf-create-results img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("one => one.naturalWidth") == 128
    expect(picture).to_have_attribute("alt", re.compile("^a frog on a beach"))
    # What is shown is the file itself, so that its recipe is in what people save.
    (tmp_path / "saved.png").write_bytes(drawn(page))
    resolved = from_json(read_metadata(tmp_path / "saved.png").resolved_json, Resolved)
    assert resolved.text is not None
    assert resolved.text.prompt == "a frog on a beach"


def test_control_enter_draws_once(page: Page, studio: Served) -> None:
    before = len(studio.desk.queue.of("me"))
    page.fill("#sf-prompt textarea", "a house in the snow")
    page.press("#sf-prompt textarea", "Control+Enter")
    expect(page.locator(PROGRESS)).to_contain_text("Done in", timeout=WAIT)
    expect(page.locator("#sf-create-results img")).to_have_count(1)
    assert len(studio.desk.queue.of("me")) == before + 1


def test_stop_stops_and_the_next_one_is_drawn(busy: Page) -> None:
    busy.locator(f"{PROGRESS} img").first.wait_for()
    busy.click("#sf-stop")
    expect(busy.locator(PROGRESS)).to_contain_text("Stopped", timeout=WAIT)
    expect(busy.locator(f"{PROGRESS} img")).to_be_visible()  # as far as it came
    busy.get_by_label("Steps").fill("2")
    draw(busy, "a frog")


def test_an_example_is_drawn_with_one_click(page: Page) -> None:
    chip = page.locator(".sf-examples button").first
    chip.click()
    picture = page.locator("#sf-create-results img").first
    expect(picture).to_have_attribute("alt", re.compile(f"^{re.escape(chip.inner_text())} ·"), timeout=WAIT)
    expect(page.locator("#sf-prompt textarea")).to_have_value(chip.inner_text())


def test_pictures_stay_while_more_are_asked_for(page: Page) -> None:
    draw(page, "a frog")
    open_advanced(page)
    page.get_by_label("Steps").fill("400")
    page.click("#sf-generate")
    expect(page.locator(PROGRESS)).to_contain_text("of 400", timeout=WAIT)
    page.get_by_label("Steps").fill("2")
    page.click("#sf-generate")
    expect(page.locator(PROGRESS)).to_contain_text("Done in", timeout=2 * WAIT)
    expect(page.locator("#sf-create-results img")).to_have_count(2, timeout=WAIT)


def test_a_page_that_is_loaded_anew_goes_on_and_escape_stops(busy: Page) -> None:
    busy.reload()
    expect(busy.locator(PROGRESS)).to_contain_text("of 1000", timeout=WAIT)
    busy.locator("#sf-prompt textarea").press("Escape")
    expect(busy.locator(PROGRESS)).to_contain_text("Stopped", timeout=WAIT)


def test_variations_and_larger_ones_are_drawn_of_a_picture(page: Page) -> None:
    draw(page, "a sailboat")
    first = drawn(page)
    results = page.locator("#sf-create-results img").first
    before = results.get_attribute("src") or ""
    page.get_by_role("button", name="Vary a little").first.click()
    expect(results).not_to_have_attribute("src", before, timeout=WAIT)
    expect(page.locator(PROGRESS)).to_contain_text("Done in", timeout=WAIT)
    assert drawn(page) != first
    page.get_by_role("button", name="Larger: 256 x 256").first.click()
    page.wait_for_function("document.querySelector('#sf-create-results img')?.naturalWidth === 256")


def test_a_picture_of_another_program_that_is_dropped_fills_the_form(page: Page) -> None:
    drop(page.locator("#sf-drop button"), "fox.png", png(parameters=PARAMETERS))
    expect(page.locator("#sf-prompt textarea")).to_have_value("a red fox at night", timeout=WAIT)
    open_advanced(page)
    expect(page.get_by_label("Steps")).to_have_value("9")
    expect(page.get_by_role("textbox", name=SEED)).to_have_value("42")
    expect(page.get_by_label("Leave out (negative prompt)")).to_have_value("snow")
    expect(page.get_by_label("Wide 160 x 104")).to_be_checked()


def test_a_photograph_that_is_dropped_goes_to_edit(page: Page) -> None:
    page.fill("#sf-prompt textarea", "a castle")
    photo = BytesIO()
    Image.new("RGB", (96, 64), "teal").save(photo, "JPEG")
    drop(page.locator("#sf-drop button"), "holiday.jpg", photo.getvalue(), "image/jpeg")
    expect(page.locator("#sf-dropped")).to_have_text("This picture carries no settings.", timeout=WAIT)
    expect(page.locator("#sf-prompt textarea")).to_have_value("a castle")
    page.get_by_role("button", name="Edit it", exact=True).click()
    edit = page.get_by_role("tab", name="Edit", exact=True)
    expect(edit).to_have_attribute("aria-selected", "true", timeout=WAIT)
    expect(page.locator("#sf-canvas .empty")).to_have_count(0, timeout=WAIT)
    page.fill("#sf-edit-prompt textarea", "a frog")
    page.click("#sf-edit-draw")
    expect(page.locator("#sf-edit-progress")).to_contain_text("Done in", timeout=3 * WAIT)


def test_a_picture_of_ours_that_is_dropped_draws_the_same_again(page: Page) -> None:
    draw(page, "two penguins")
    first = drawn(page)
    page.fill("#sf-prompt textarea", "")
    drop(page.locator("#sf-drop button"), "penguins.png", first)
    expect(page.locator("#sf-prompt textarea")).to_have_value("two penguins", timeout=WAIT)
    before = page.locator("#sf-create-results img").first.get_attribute("src") or ""
    page.click("#sf-generate")
    expect(page.locator("#sf-create-results img").first).not_to_have_attribute("src", before, timeout=WAIT)
    pixels = [Image.open(BytesIO(one)).convert("RGB").tobytes() for one in (first, drawn(page))]
    assert pixels[0] == pixels[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("torn.png", png(parameters=PARAMETERS)[:60]),
        ("no.png", b"<svg onload=alert(1)>"),
    ],
    ids=["torn", "no picture"],
)
def test_a_picture_that_says_nothing_is_refused_kindly(page: Page, name: str, content: bytes) -> None:
    page.fill("#sf-prompt textarea", "what stood here")
    drop(page.locator("#sf-drop button"), name, content)
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_be_visible(timeout=WAIT)
    expect(toast).not_to_contain_text("/")
    expect(page.locator("#sf-prompt textarea")).to_have_value("what stood here")


def test_what_cannot_be_drawn_is_said_where_the_picture_would_be(page: Page) -> None:
    open_advanced(page)
    page.get_by_role("textbox", name=SEED).fill("seven")
    page.fill("#sf-prompt textarea", "a frog")
    page.click("#sf-generate")
    expect(page.get_by_role("alert").filter(has_text="Seed")).to_contain_text("is not a whole number from")
    page.get_by_role("textbox", name=SEED).fill("7")
    draw(page, "a frog")


def test_what_is_left_empty_behind_advanced_is_left_to_the_model(page: Page, tmp_path: Path) -> None:
    """Gradio's own fields for numbers say 0 once they are shown."""
    open_advanced(page)
    draw(page, "a frog")
    (tmp_path / "saved.png").write_bytes(drawn(page))
    resolved = from_json(read_metadata(tmp_path / "saved.png").resolved_json, Resolved)
    defaults = find_model("bundled", bundled_settings(tmp_path)).defaults
    assert (resolved.steps, resolved.guidance) == (defaults.steps, defaults.guidance)
