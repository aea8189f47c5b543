"""What can be done with a picture: told, copied, animated, downloaded, compared; and presets."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from studio_pages import WAIT, OpenPage, draw, drawn, go_to, open_advanced

ABOUT = "#sf-create-about"


def choose(page: Page, field: str, option: str) -> None:
    """Choose from a list by what is written there."""
    page.get_by_label(field, exact=True).first.click()
    page.get_by_role("option", name=option).click()


def test_a_picture_is_told_copied_animated_and_downloaded(page: Page) -> None:
    open_advanced(page)
    page.get_by_label("Steps", exact=True).fill("4")
    # There is no picture yet.
    expect(page.get_by_role("button", name="Animate").first).to_be_hidden(timeout=WAIT)
    draw(page, "a boat on the sea")
    file = drawn(page)

    page.get_by_role("button", name="Copy recipe").first.click()
    text = page.locator(f"{ABOUT} textarea")
    expect(text).to_have_value(re.compile('prompt = "a boat on the sea"'), timeout=WAIT)
    expect(page.locator(f"{ABOUT} [data-said]")).to_have_text("Copied.", timeout=WAIT)
    page.locator("#sf-prompt textarea").fill("")
    page.locator("#sf-prompt textarea").press("Control+V")
    expect(page.locator("#sf-prompt textarea")).to_have_value(re.compile("steps = 4"), timeout=WAIT)

    page.get_by_role("button", name="How it was made").first.click()
    expect(page.locator(f"{ABOUT} dl")).to_contain_text("Digest of the recipe", timeout=WAIT)
    page.locator(f"{ABOUT} summary").first.press("Enter")
    expect(page.locator(f"{ABOUT} code").first).to_contain_text(
        "sfumato redo a-boat-on-the-sea-", timeout=WAIT
    )

    page.get_by_role("button", name="Animate").first.press("Enter")
    moving = page.locator("#sf-create-animation img")
    moving.wait_for(timeout=WAIT)
    address = moving.get_attribute("src")
    assert address is not None
    with Image.open(BytesIO(page.request.get(address).body())) as animation:
        animation.seek(4)  # the noise, three steps, and the picture
        assert animation.format == "WEBP"
    assert drawn(page) == file
    expect(page.locator(ABOUT)).to_be_empty()  # it came out as it was: nothing is to be said
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).first.click()
    assert Path(download.value.path()).read_bytes() == file
    assert download.value.suggested_filename.startswith("a-boat-on-the-sea-")


def test_where_the_browser_refuses_the_recipe_is_marked(page: Page) -> None:
    open_advanced(page)
    page.get_by_label("Steps", exact=True).fill("1")
    draw(page, "a boat")
    # As on a page that came over plain HTTP from another machine.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.get_by_role("button", name="Copy recipe").first.click()
    expect(page.locator(f"{ABOUT} [data-said]")).to_contain_text("Ctrl+C", timeout=WAIT)
    expect(page.locator(f"{ABOUT} textarea")).to_be_focused(timeout=WAIT)
    marked = page.evaluate("() => { const one = document.activeElement; return one.selectionEnd; }")
    assert marked > 50


def test_a_preset_is_kept_over_a_restart_chosen_and_deleted(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        page = open_page(served)
        open_advanced(page)
        page.get_by_label("Steps", exact=True).fill("7")
        page.fill("#sf-prompt textarea", "a <b>fox</b>")
        page.fill("#sf-preset-name input", "my <i>foxes</i>")
        page.click("#sf-preset-keep")
        expect(page.locator("#sf-preset-said")).to_contain_text("Kept as “my <i>foxes</i>”.", timeout=WAIT)
        page.close()
    with other_studio() as served:
        page = open_page(served)
        open_advanced(page)
        choose(page, "Preset", "★ my <i>foxes</i>")
        expect(page.get_by_label("Steps", exact=True)).to_have_value("7", timeout=WAIT)
        expect(page.locator("#sf-prompt textarea")).to_have_value("a <b>fox</b>", timeout=WAIT)
        choose(page, "Preset", "Quick sketch")
        expect(page.get_by_label("Steps", exact=True)).to_have_value("8", timeout=WAIT)
        expect(page.locator("#sf-prompt textarea")).to_have_value("a <b>fox</b>", timeout=WAIT)
        choose(page, "Preset", "★ my <i>foxes</i>")
        expect(page.get_by_label("Steps", exact=True)).to_have_value("7", timeout=WAIT)
        page.click("#sf-preset-delete")
        expect(page.locator("#sf-preset-said")).to_contain_text("is deleted.", timeout=WAIT)
        page.get_by_label("Preset", exact=True).first.click()
        page.get_by_role("option", name="Quick sketch").wait_for()
        expect(page.get_by_role("option", name="foxes")).to_have_count(0, timeout=WAIT)
        page.close()


def test_two_pictures_are_compared(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        page = open_page(served)
        open_advanced(page)
        page.get_by_label("Seed").fill("5")
        for steps in ("2", "3"):
            page.get_by_label("Steps", exact=True).fill(steps)
            draw(page, f"a tree, {steps} steps")
        go_to(page, "Gallery")
        tiles = page.locator("#sf-gallery button")
        tiles.first.click()
        page.wait_for_selector("#sf-picture img")
        page.get_by_role("button", name="Compare with another").click()
        expect(page.locator("#sf-compared")).to_contain_text("Now choose the other picture.", timeout=WAIT)
        tiles.nth(1).press("Enter")
        table = page.locator("#sf-compared table")
        expect(table.get_by_role("row", name="steps 3 2")).to_be_visible(timeout=WAIT)
        expect(table.get_by_role("row")).to_have_count(3)  # head, steps, prompt
        slider = page.get_by_label("How much of the first")
        slider.press("End")
        pair = page.locator("#sf-compared .sf-pair")
        expect(pair).to_have_attribute("style", "--at: 100%;", timeout=WAIT)
        page.get_by_role("button", name="Side by side").press("Enter")
        expect(slider).to_be_hidden(timeout=WAIT)
        page.get_by_role("button", name="Do not compare").click()
        expect(page.locator("#sf-compared")).to_be_empty(timeout=WAIT)
        page.close()
