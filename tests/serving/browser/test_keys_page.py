"""Escape closes what lies over the page; where nothing does, it stops what is drawn."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from served_studio import Served
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import ALONE
from studio_pages import WAIT, OpenPage, go_to

PROGRESS = "#sf-create-progress"
FROG = Recipe(seed=7, steps=30, parts=(TextPart(prompt="a frog"),))


@pytest.fixture
def busy(studio: Served, open_page: OpenPage) -> Iterator[Page]:
    """A page with a picture, of a series of which another is drawn, which takes long."""
    queue = studio.desk.queue
    for steps in (30, 1000):
        job = queue.submit(FROG.model_copy(update={"steps": steps}), ALONE, tab="create")
    page = open_page(studio)
    expect(page.locator(PROGRESS)).to_contain_text("of 1000", timeout=WAIT)
    page.locator("#sf-create-results img").first.wait_for(timeout=WAIT)
    yield page
    queue.cancel(job.id, ALONE)


def watched(page: Page) -> Locator:
    """Return the button that stops, which is marked when it is pressed."""
    stop = page.locator("#sf-stop")
    stop.evaluate("one => one.addEventListener('click', () => { one.dataset.pressed = 'yes'; })")
    return stop


@pytest.mark.parametrize("full", [False, True])
def test_an_enlarged_picture_is_closed_first(busy: Page, full: bool) -> None:
    results = busy.locator("#sf-create-results")
    results.locator(".thumbnail-item").first.click()
    enlarged, stop, prompt = results.locator(".preview"), watched(busy), busy.locator("#sf-prompt textarea")
    expect(enlarged).to_be_visible()
    if full:
        results.get_by_label("Fullscreen").first.click()
        expect(results).to_contain_class("fullscreen")
        prompt.press("Escape")
        expect(results).not_to_contain_class("fullscreen")
        expect(enlarged).to_be_visible()
    prompt.press("Escape")  # from wherever somebody types
    expect(enlarged).to_have_count(0)
    expect(stop).not_to_have_attribute("data-pressed", "yes")
    prompt.press("Escape")
    expect(stop).to_have_attribute("data-pressed", "yes")
    expect(busy.locator(PROGRESS)).to_contain_text("stopped", timeout=WAIT)


def test_a_list_of_choices_is_closed_first(page: Page) -> None:
    page.get_by_label("Style").first.click()
    choices, stop = page.get_by_role("listbox"), watched(page)
    expect(choices).to_be_visible()
    page.keyboard.press("Escape")
    expect(choices).to_have_count(0)
    expect(stop).not_to_have_attribute("data-pressed", "yes")
    page.keyboard.press("Escape")
    expect(stop).to_have_attribute("data-pressed", "yes")


def test_what_the_canvas_asks_is_closed_first(page: Page) -> None:
    go_to(page, "Edit")
    page.get_by_role("button", name="Brush", exact=True).click()
    page.get_by_role("button", name="Brush Size").click()
    size = page.locator("#sf-canvas .wrap input[type=range]")
    expect(size).to_be_visible()
    page.keyboard.press("Escape")
    expect(size).to_have_count(0)
