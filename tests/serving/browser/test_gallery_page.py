"""The tab Gallery: what was drawn is there after the studio was closed, and its settings are used again."""

import re
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, ViewportSize, expect

from held_queue import held
from served_studio import Served
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import ALONE
from studio_axe import findings
from studio_pages import DESK, PHONE, WAIT, OpenPage, draw, drawn, go_to, open_advanced, overflow_of
from tiny_studio import followed

#: Whether the corner of a picture in which Gradio puts a label is seen.
_CORNER = """(image) => {
  image.scrollIntoView({block: "center"});
  const box = image.getBoundingClientRect();
  return document.elementFromPoint(box.left + 12, box.top + 6) === image;
}"""


def pixels(png: bytes) -> bytes:
    return Image.open(BytesIO(png)).convert("RGB").tobytes()


def choose_newest(page: Page) -> None:
    go_to(page, "Gallery")
    page.locator("#sf-gallery button").first.click()
    page.wait_for_selector("#sf-picture img")


def test_a_picture_is_there_after_a_restart_and_its_settings_draw_it_again(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        page = open_page(served)
        open_advanced(page)
        page.get_by_label("Steps").fill("4")
        draw(page, "a horse on a beach")
        first = drawn(page)
        page.close()
    with other_studio() as served:
        page = open_page(served)
        choose_newest(page)
        expect(page.locator("#sf-details")).to_contain_text("a horse on a beach")
        page.get_by_role("button", name="Use these settings").click()
        expect(page.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true")
        expect(page.locator("#sf-prompt textarea")).to_have_value("a horse on a beach")
        page.click("#sf-generate")
        page.wait_for_selector("#sf-create-results img")
        assert pixels(drawn(page)) == pixels(first)
        page.close()


def test_pictures_are_searched_favoured_and_thrown_away(page: Page) -> None:
    open_advanced(page)
    page.get_by_label("Steps").fill("2")
    draw(page, "an unmistakable zebra")
    go_to(page, "Gallery")
    search = page.get_by_label("Search")
    search.fill("zebra unmistakable")
    search.press("Enter")
    tiles = page.locator("#sf-gallery img")
    expect(tiles).to_have_count(1)
    page.locator("#sf-gallery button").first.click()
    page.wait_for_selector("#sf-picture img")
    page.get_by_role("button", name="☆ Favourite").click()
    page.get_by_role("button", name="★ No favourite").wait_for()
    page.get_by_label("Favourites").check()
    expect(tiles).to_have_count(1)
    page.get_by_role("button", name="Into the bin").click()
    expect(tiles).to_have_count(0)
    nothing_is_chosen(page)
    page.get_by_label("Bin").check()
    expect(tiles).to_have_count(1)
    page.locator("#sf-gallery button").first.click()
    page.get_by_role("button", name="Out of the bin").click()
    expect(tiles).to_have_count(0)
    nothing_is_chosen(page)


def nothing_is_chosen(page: Page) -> None:
    """See that nothing is left of a picture that went, and nothing to be done with it."""
    expect(page.locator("#sf-picture img")).to_have_count(0, timeout=WAIT)
    expect(page.locator("#sf-details")).to_have_text("", timeout=WAIT)
    for name in ("Use these settings", "Edit this", "Compare with another", "Into the bin"):
        expect(page.get_by_role("button", name=name).locator("visible=true")).to_have_count(0)


def test_the_bin_is_emptied_after_a_question(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        page = open_page(served)
        go_to(page, "Gallery")
        expect(page.locator("#sf-found")).to_have_text("Nothing here yet.", timeout=WAIT)
        nothing_is_chosen(page)
        go_to(page, "Create")
        open_advanced(page)
        page.get_by_label("Steps").fill("2")
        draw(page, "a frog")
        choose_newest(page)
        page.get_by_role("button", name="Into the bin").click()
        page.get_by_label("Bin").check()
        tiles = page.locator("#sf-gallery img")
        expect(tiles).to_have_count(1, timeout=WAIT)
        page.get_by_role("button", name="Empty the bin").click()
        expect(page.locator("#sf-empty-sure")).to_contain_text("Pictures: 1.", timeout=WAIT)
        page.get_by_role("button", name="Keep them").click()
        expect(page.locator("#sf-empty-sure")).to_be_hidden(timeout=WAIT)
        expect(tiles).to_have_count(1)
        page.get_by_role("button", name="Empty the bin").click()
        page.get_by_role("button", name="Delete for good").click()
        expect(tiles).to_have_count(0, timeout=WAIT)
        assert served.desk.gallery.search(ALONE, binned=True) == ()
        page.close()


def test_several_are_chosen_by_mouse_and_keys_packed_and_thrown_away(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        for seed in range(6):
            asked = Recipe(parts=(TextPart(prompt=f"number {seed}"),), steps=1, seed=seed)
            job = served.desk.queue.submit(asked, ALONE)
            assert [*served.desk.queue.follow(job.id, ALONE)][-1].state == "done"
        page = open_page(served)
        go_to(page, "Gallery")
        tiles = page.locator("#sf-gallery .thumbnail-item")
        pressed = page.locator("#sf-gallery [aria-pressed=true]")
        marks = page.locator("#sf-marks")
        expect(tiles).to_have_count(6, timeout=WAIT)
        page.get_by_label("Choose several").check()
        expect(marks).to_contain_text("Click pictures", timeout=WAIT)
        tiles.nth(0).click()  # two at once: none is lost
        tiles.nth(5).click()
        expect(marks).to_contain_text("Chosen: 2", timeout=WAIT)
        tiles.nth(5).focus()
        page.keyboard.press("Enter")
        expect(marks).to_contain_text("Chosen: 1", timeout=WAIT)
        tiles.nth(1).click()
        tiles.nth(3).click(modifiers=["Shift"])
        expect(marks).to_contain_text("Chosen: 4", timeout=WAIT)
        expect(pressed).to_have_count(4, timeout=WAIT)
        page.get_by_role("button", name="None", exact=True).click()
        expect(pressed).to_have_count(0, timeout=WAIT)
        page.get_by_role("button", name="All on this page").click()
        expect(pressed).to_have_count(6, timeout=WAIT)
        expect(page.locator("#sf-picture img")).to_have_count(0, timeout=WAIT)  # none of them was opened
        page.get_by_role("button", name="As a ZIP").click()
        save = page.get_by_role("button", name="Save the ZIP: 6 pictures")
        with page.expect_download() as coming:
            save.click()
        with zipfile.ZipFile(coming.value.path()) as archive:
            assert len(archive.namelist()) == 6
            assert archive.testzip() is None
        tiles.nth(2).click()
        expect(marks).to_contain_text("Chosen: 5", timeout=WAIT)
        expect(save).to_have_count(0, timeout=WAIT)  # it is not what is chosen now
        bar = page.locator("#sf-several-bar")
        bar.get_by_role("button", name="Into the bin").click()
        expect(tiles).to_have_count(1, timeout=WAIT)
        expect(page.locator("#sf-found")).to_contain_text("1 picture", timeout=WAIT)
        page.close()


def test_the_order_and_the_favourites_are_there_after_a_reload(page: Page, studio: Served) -> None:
    for prompt in ("the first of two", "the second of two"):
        asked = Recipe(parts=(TextPart(prompt=prompt),), steps=1, seed=1)
        job = studio.desk.queue.submit(asked, ALONE)
        assert [*studio.desk.queue.follow(job.id, ALONE)][-1].state == "done"
    go_to(page, "Gallery")
    search = page.get_by_label("Search").locator("visible=true")
    search.fill("of two")
    search.press("Enter")
    captions = page.locator("#sf-gallery .caption-label")
    expect(captions).to_have_text(["the second of two", "the first of two"], timeout=WAIT)
    page.get_by_label("Sorted").locator("visible=true").click()
    page.get_by_role("option", name="oldest first").click()
    expect(captions).to_have_text(["the first of two", "the second of two"], timeout=WAIT)
    page.evaluate("document.getElementById('sf-keep').click()")
    page.wait_for_load_state()
    page.wait_for_selector("#sf-generate", state="attached")
    expect(page.get_by_label("Sorted").locator("visible=true")).to_have_value("oldest first", timeout=WAIT)
    expect(captions).to_have_text(["the first of two", "the second of two"], timeout=WAIT)


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_there_is_more_of_a_picture_on_create(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, size: ViewportSize
) -> None:
    with other_studio() as served:
        desk = served.desk
        asked = Recipe(parts=(TextPart(prompt="a boat on the sea"),), steps=2, seed=1)
        assert followed(desk, desk.queue.submit(asked, ALONE)).state == "done"
        page = open_page(served, viewport=size)
        count = page.get_by_role("spinbutton", name="Pictures").locator("visible=true")
        count.fill("3")
        count.press("Tab")
        choose_newest(page)
        expect(page.get_by_role("button", name="Larger: 256 x 256").locator("visible=true")).to_have_count(1)
        page.get_by_role("button", name="Vary", exact=True).click()
        expect(page.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true")
        results = page.locator("#sf-create-results")
        expect(results.locator("img")).to_have_count(3, timeout=WAIT)
        expect(results).to_be_in_viewport(ratio=0.9)
        expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)
        choose_newest(page)
        page.get_by_role("button", name="Larger: 256 x 256").locator("visible=true").click()
        expect(results.locator("img")).to_have_count(1, timeout=WAIT)
        expect(page.locator("#sf-create-progress")).to_contain_text("Done in", timeout=WAIT)
        made = desk.gallery.search(ALONE)
        assert [one.width for one in made] == [256, 128, 128, 128, 128]
        assert len({one.seed for one in made}) == 4
        page.close()


def test_nothing_lies_over_a_picture_and_boxes_stand_in_line_with_fields(page: Page, studio: Served) -> None:
    asked = Recipe(parts=(TextPart(prompt="a kite"),), steps=1, seed=1)
    assert followed(studio.desk, studio.desk.queue.submit(asked, ALONE)).state == "done"
    choose_newest(page)
    for picture in ("#sf-gallery img", "#sf-picture img"):
        assert page.locator(picture).first.evaluate(_CORNER), picture
    field = middle_of(page.get_by_label("Sorted").locator("visible=true"))
    for name in ("Favourites", "Bin"):
        assert abs(middle_of(page.get_by_label(name, exact=True).locator("visible=true")) - field) <= 3


def middle_of(part: Locator) -> float:
    """Return how far down on the page the middle of something is, in pixels."""
    box = part.bounding_box()
    assert box is not None
    return box["y"] + box["height"] / 2


def test_a_picture_is_animated_stopped_and_its_recipe_copied(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        desk = served.desk
        asked = Recipe(parts=(TextPart(prompt="a boat on the sea"),), steps=3, seed=1)
        assert followed(desk, desk.queue.submit(asked, ALONE)).state == "done"
        page = open_page(served, viewport=PHONE)
        choose_newest(page)
        page.get_by_role("button", name="Copy recipe").click()
        about = page.locator("#sf-gallery-about textarea")
        expect(about).to_have_value(re.compile('prompt = "a boat on the sea"'), timeout=WAIT)
        progress = page.locator("#sf-gallery-progress")
        stop = progress.locator("+ .sf-stop")
        expect(stop).to_be_hidden()
        with held(desk):
            page.get_by_role("button", name="Animate").click()
            expect(progress).to_contain_text("Waiting", timeout=WAIT)
            stop.click()
            expect(progress).to_contain_text("Stopped", timeout=WAIT)
        expect(stop).to_be_hidden(timeout=WAIT)
        with held(desk):
            page.get_by_role("button", name="Animate").click()
            expect(progress).to_contain_text("Waiting", timeout=WAIT)
            page.reload()
            expect(progress).to_contain_text("Waiting", timeout=WAIT)
        moving = page.locator("#sf-gallery-animation img")
        moving.wait_for(timeout=WAIT)
        expect(progress).to_contain_text("Done in", timeout=WAIT)
        page.reload()
        go_to(page, "Gallery")
        expect(page.locator("#sf-details")).to_contain_text("a boat on the sea", timeout=WAIT)
        expect(page.locator("#sf-picture img")).to_have_count(1, timeout=WAIT)
        expect(page.get_by_role("button", name="Animate").locator("visible=true")).to_have_count(1)
        expect(moving).to_have_count(1)  # its picture was chosen, and that does not take it away
        assert overflow_of(page) <= 0
        assert len(desk.gallery.search(ALONE)) == 1
        assert [str(one) for one in findings(page, tabs=["Gallery"]) if not one.excused] == []
        page.close()
