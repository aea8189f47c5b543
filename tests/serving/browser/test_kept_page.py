"""What is typed outlives loading the page again, in this tab of the browser, until somebody starts afresh."""

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect

from served_studio import Served
from studio_pages import WAIT, OpenPage, draw, drop, go_to, kept, on_canvas, open_advanced


def opened_again(page: Page) -> None:
    kept(page)
    page.reload()
    page.wait_for_selector("#sf-generate", state="attached")


def test_the_form_and_the_tab_are_there_again(page: Page) -> None:
    prompt = page.locator("#sf-prompt textarea")
    chip = page.locator(".sf-examples button").first
    chip.click()
    expect(prompt).to_have_value(chip.inner_text(), timeout=WAIT)
    open_advanced(page)
    page.get_by_label("Steps").fill("7")
    go_to(page, "Grid")
    page.fill("#sf-grid-prompt textarea", "a <b>castle</b>")
    opened_again(page)
    grid = page.get_by_role("tab", name="Grid", exact=True)
    expect(grid).to_have_attribute("aria-selected", "true", timeout=WAIT)
    expect(page.locator("#sf-grid-prompt textarea")).to_have_value("a <b>castle</b>", timeout=WAIT)
    go_to(page, "Create")
    expect(prompt).to_have_value(chip.inner_text(), timeout=WAIT)
    opened_again(page)  # once more: what was taken up is kept
    expect(prompt).to_have_value(chip.inner_text(), timeout=WAIT)
    open_advanced(page)
    expect(page.get_by_label("Steps")).to_have_value("7", timeout=WAIT)
    with page.expect_navigation():
        page.get_by_role("button", name="Start afresh").click()
    expect(prompt).to_have_value("", timeout=WAIT)
    open_advanced(page)
    expect(page.get_by_label("Steps")).to_have_value("")
    go_to(page, "Grid")
    expect(page.locator("#sf-grid-prompt textarea")).to_have_value("")


def test_a_fold_that_is_shut_says_what_is_in_use(page: Page) -> None:
    shut = page.get_by_role("button", name="Advanced ▼", exact=True)
    expect(shut).to_be_visible(timeout=WAIT)
    page.get_by_label("Preset").first.click()
    page.get_by_role("option", name="Quick sketch").click()
    used = page.get_by_role("button", name="Advanced · in use: Steps ▼", exact=True)
    expect(used).to_be_visible(timeout=WAIT)
    opened_again(page)
    expect(used).to_be_visible(timeout=WAIT)
    written = io.BytesIO()
    text = PngInfo()
    asked = "a frog\nNegative prompt: snow\nSteps: 20, CFG scale: 5, Seed: 7, Size: 128x128"
    text.add_text("parameters", asked)
    Image.new("RGB", (64, 64)).save(written, "PNG", pnginfo=text)
    drop(page.locator("#sf-drop button"), "frog.png", written.getvalue())
    expect(page.locator("#sf-prompt textarea")).to_have_value("a frog", timeout=WAIT)
    # The next thing that anybody does tells it, where the studio took longer than usual to read the picture.
    page.locator("h1").click()
    said = "Advanced · in use: Leave out (negative prompt), Steps, Guidance, Seed ▼"
    expect(page.get_by_role("button", name=said, exact=True)).to_be_visible(timeout=WAIT)
    with page.expect_navigation():
        page.get_by_role("button", name="Start afresh").click()
    expect(shut).to_be_visible(timeout=WAIT)


def test_choices_that_come_late_are_there_again_or_named(page: Page) -> None:
    wide = page.get_by_label("Wide 160 x 104").first
    wide.check()
    # A refiner that somebody took away meanwhile.
    page.add_init_script(
        """const read = JSON.parse(sessionStorage.getItem("sfumato-kept"));
        read.kept["create.finer_refiner"] = "old";
        sessionStorage.setItem("sfumato-kept", JSON.stringify(read));"""
    )
    opened_again(page)
    expect(wide).to_be_checked(timeout=WAIT)
    expect(page.get_by_text("Chosen before, and not here any more: old.")).to_be_visible(timeout=WAIT)
    draw(page, "a frog")
    picture = page.locator("#sf-create-results img").first
    expect(picture).to_have_js_property("naturalWidth", 160, timeout=WAIT)


def test_what_a_tab_shows_is_looked_for_when_it_is_open_from_the_beginning(page: Page) -> None:
    draw(page, "a frog")
    go_to(page, "Gallery")
    expect(page.locator("#sf-gallery img").first).to_be_visible(timeout=WAIT)
    opened_again(page)
    gallery = page.get_by_role("tab", name="Gallery", exact=True)
    expect(gallery).to_have_attribute("aria-selected", "true", timeout=WAIT)
    expect(page.locator("#sf-gallery img").first).to_be_visible(timeout=WAIT)


def test_another_tab_of_the_browser_begins_afresh(studio: Served, open_page: OpenPage) -> None:
    page = open_page(studio)
    page.fill("#sf-prompt textarea", "a castle")
    opened_again(page)
    expect(page.locator("#sf-prompt textarea")).to_have_value("a castle", timeout=WAIT)
    other = open_page(studio)
    expect(other.locator("#sf-generate")).to_be_visible()
    expect(other.locator("#sf-prompt textarea")).to_have_value("")


def test_without_words_the_page_asks_for_some(page: Page) -> None:
    page.click("#sf-generate")
    said = page.locator("#sf-create-progress [role=alert]")
    expect(said).to_have_text("Say what you would like to see, or take an example.", timeout=WAIT)
    prompt = page.locator("#sf-prompt textarea")
    for standing in ("", "what no surprise ever says"):
        prompt.fill(standing)
        page.click("#sf-surprise")
        expect(prompt).not_to_have_value(standing, timeout=WAIT)
        expect(prompt).not_to_have_value("")


def test_a_negative_side_is_named_and_blocks_nothing_else(page: Page) -> None:
    draw(page, "a frog")
    page.get_by_role("button", name="Edit this").first.click()
    on_canvas(page)
    expect(page.locator("#sf-edit-prompt textarea")).to_have_value("a frog", timeout=WAIT)
    page.get_by_label("More around it").check()
    left = page.get_by_label("Left", exact=True)
    left.fill("-5")
    left.blur()
    page.click("#sf-edit-draw")
    problem = page.locator("#sf-edit-progress [role=alert]")
    expect(problem).to_have_text("“Left” must be at least 0, not -5.", timeout=WAIT)
    page.get_by_label("Change it").check()
    page.click("#sf-edit-draw")
    expect(page.locator("#sf-edit-progress")).to_contain_text("Done in", timeout=3 * WAIT)
