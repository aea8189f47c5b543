"""The tab Grid in a browser."""

import re

from playwright.sync_api import Page, expect

from served_studio import Served
from studio_pages import WAIT, OpenPage, go_to


def cross(page: Page, prompt: str, values: str) -> None:
    go_to(page, "Grid")
    page.fill("#sf-grid-prompt textarea", prompt)
    page.fill("#sf-grid-across-values textarea, #sf-grid-across-values input", values)
    page.click("#sf-grid-draw")


def test_a_grid_fills_with_pictures_and_labels(studio: Served, open_page: OpenPage) -> None:
    page = open_page(studio)
    cross(page, "a frog on a beach", "1,2")
    expect(page.locator("#sf-grid-progress")).to_contain_text("2 of 2 pictures", timeout=WAIT)
    expect(page.locator("#sf-grid-table td img")).to_have_count(2)
    expect(page.locator("#sf-grid-table th[scope=col]")).to_have_text(["steps 1", "steps 2"])
    expect(page.locator("#sf-grid-sheet a").first).to_be_visible()
    page.reload()
    page.wait_for_selector("#sf-generate", state="attached")
    go_to(page, "Grid")
    expect(page.locator("#sf-grid-table td img")).to_have_count(2)


def test_opening_advanced_changes_nothing(studio: Served, open_page: OpenPage) -> None:
    page = open_page(studio)
    go_to(page, "Grid")
    page.get_by_role("button", name="Advanced").last.click()
    cross(page, "a frog", "1")
    expect(page.locator("#sf-grid-progress")).to_contain_text("1 of 1 pictures", timeout=WAIT)
    expect(page.locator("#sf-grid-table caption")).to_contain_text("guidance 2")


def test_what_cannot_be_drawn_is_said_and_nothing_is(studio: Served, open_page: OpenPage) -> None:
    page = open_page(studio)
    before = len(studio.desk.queue.of("me"))
    cross(page, "a frog", "4,many")
    expect(page.locator("#sf-grid-progress [role=alert]")).to_contain_text("is not a whole number")
    assert len(studio.desk.queue.of("me")) == before


def test_stop_ends_all_that_is_left(studio: Served, open_page: OpenPage) -> None:
    page = open_page(studio)
    cross(page, "a red fox", "200,201,202,203")
    expect(page.locator("#sf-grid-progress")).to_contain_text(re.compile("Picture 1 of 4.*step", re.DOTALL))
    page.click("#sf-grid-stop")
    expect(page.locator("#sf-grid-progress")).to_contain_text("No picture was drawn", timeout=WAIT)
    assert {job.state for job in studio.desk.queue.of("me")[-4:]} == {"cancelled"}
