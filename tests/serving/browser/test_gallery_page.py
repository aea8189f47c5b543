"""The tab Gallery: what was drawn is there after the studio was closed, and its settings are used again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO

from PIL import Image
from playwright.sync_api import Page, expect

from served_studio import Served
from studio_pages import OpenPage, draw, drawn, go_to, open_advanced


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
    page.get_by_label("Bin").check()
    expect(tiles).to_have_count(1)
    page.get_by_role("button", name="Out of the bin").click()
    expect(tiles).to_have_count(0)
