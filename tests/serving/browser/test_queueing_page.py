"""Clicks while something is drawn: each is another drawing, and the page says how all of them go."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from held_queue import held
from served_studio import Served
from sfumato.serving.desk import ALONE
from sfumato.serving.jobs import Job
from sfumato.serving.queue import MOST_EACH
from studio_pages import WAIT, OpenPage, open_advanced
from tiny_studio import followed

PROGRESS, RESULTS = "#sf-create-progress", "#sf-create-results img"
SEED = re.compile("^Seed")
CLICKS = """async () => {
  for (let i = 0; i < 200; i++) {
    document.getElementById("sf-generate").click();
    await new Promise((go_on) => setTimeout(go_on, 2));
  }
}"""


def ask(page: Page, prompt: str, steps: str = "2") -> None:
    """Fill the form and click Generate."""
    page.get_by_label("Steps", exact=True).fill(steps)
    page.fill("#sf-prompt textarea", prompt)
    page.click("#sf-generate")


def progress(page: Page) -> Locator:
    return page.locator(PROGRESS)


def says(page: Page, text: str) -> None:
    expect(progress(page)).to_contain_text(text, timeout=WAIT)


def shows(page: Page, *prompts: str) -> None:
    """See that pictures of these prompts are shown, the first one first."""
    tiles = page.locator("#sf-create-results .grid-container img")
    expect(tiles).to_have_count(len(prompts))
    for place, prompt in enumerate(prompts):
        expect(tiles.nth(place)).to_have_attribute("alt", re.compile(f"^{prompt}( ·|$)"))


def named(request: Request) -> str:
    return request.url.partition("?")[0].rpartition("/")[2]


def jobs_of(studio: Served) -> list[Job]:
    return [one for one in studio.desk.queue.of(ALONE) if one.tab == "create"]


@pytest.fixture(autouse=True)
def left(studio: Served) -> Iterator[None]:
    """What one test asked for is not what the next one finds."""
    yield
    for job in reversed(jobs_of(studio)):
        studio.desk.queue.cancel(job.id, ALONE)
    for job in jobs_of(studio):
        followed(studio.desk, job)


@pytest.fixture
def busy(page: Page) -> Page:
    """A page on which three drawings were asked for, of which the first takes long."""
    open_advanced(page)
    ask(page, "a frog", "1000")
    says(page, "of 1000")
    ask(page, "a fox")
    says(page, "1 more waits")
    ask(page, "an owl")
    says(page, "Drawing 1 of 3")
    says(page, "2 more wait")
    return page


def test_three_clicks_make_three_pictures_and_all_are_shown(page: Page, studio: Served) -> None:
    open_advanced(page)
    with held(studio.desk):
        ask(page, "a frog")
        says(page, "Waiting · 1 before it")
        page.fill("#sf-prompt textarea", "a fox")
        page.click("#sf-generate")
        says(page, "1 more waits")
        ask(page, "an owl")
        says(page, "Waiting: 1 of 3 · 1 before it")
        says(page, "2 more wait")
    says(page, "Done in")
    shows(page, "an owl", "a fox", "a frog")
    expect(page.get_by_role("button", name="Stop all")).to_be_hidden()
    ask(page, "a boat")  # a fresh series begins with none
    expect(page.locator(RESULTS)).to_have_count(1, timeout=WAIT)
    says(page, "Done in")
    shows(page, "a boat")


def test_stop_goes_on_with_what_waits(busy: Page) -> None:
    busy.locator("#sf-prompt textarea").press("Escape")
    says(busy, "1 stopped")
    says(busy, "Done in")
    shows(busy, "an owl", "a fox")


def test_stop_all_stops_what_waits(busy: Page, studio: Served) -> None:
    busy.get_by_role("button", name="Stop all").click()
    says(busy, "Stopped")
    expect(busy.get_by_role("button", name="Stop all")).to_be_hidden()
    assert [one.state for one in jobs_of(studio)[-3:]] == ["cancelled"] * 3
    ask(busy, "a boat")
    says(busy, "Done in")


def test_a_page_that_is_loaded_anew_follows_all_of_it(busy: Page) -> None:
    busy.reload()
    says(busy, "Drawing 1 of 3")
    says(busy, "2 more wait")
    open_advanced(busy)
    ask(busy, "a boat")
    says(busy, "Drawing 1 of 4")
    busy.click("#sf-stop")
    says(busy, "Done in")
    shows(busy, "a boat", "an owl", "a fox")


def test_two_pages_of_one_visitor_say_the_same(busy: Page, open_page: OpenPage, studio: Served) -> None:
    other = open_page(studio)
    says(other, "Drawing 1 of 3")
    open_advanced(other)
    ask(other, "a boat")
    for page in (busy, other):
        says(page, "Drawing 1 of 4")
        says(page, "3 more wait")
    other.click("#sf-stop")
    for page in (busy, other):
        says(page, "Done in")
        shows(page, "a boat", "an owl", "a fox")


def test_a_bad_number_in_between_is_said_and_disturbs_nothing(busy: Page) -> None:
    seed = busy.get_by_role("textbox", name=SEED)
    seed.fill("seven")
    busy.click("#sf-generate")
    notice = progress(busy).get_by_role("alert")
    expect(notice).to_contain_text("is not a whole number", timeout=WAIT)
    says(busy, "Drawing 1 of 3")
    seed.fill("7")
    busy.click("#sf-generate")
    says(busy, "Drawing 1 of 4")
    expect(notice).to_have_count(0)
    busy.click("#sf-stop")
    says(busy, "Done in")
    shows(busy, "an owl", "an owl", "a fox")


def test_larger_and_variations_wait_as_well(page: Page, studio: Served) -> None:
    open_advanced(page)
    ask(page, "a frog")
    says(page, "Done in")
    expect(page.locator(RESULTS)).to_have_count(1, timeout=WAIT)
    little = page.get_by_role("button", name="Vary a little").first
    with held(studio.desk):
        for _ in range(2):
            little.click()
        says(page, "Waiting: 1 of 2")
    says(page, "Done in")
    shows(page, "a frog", "a frog")
    page.get_by_role("button", name="Larger").first.click()
    expect(page.locator(RESULTS)).to_have_count(1, timeout=WAIT)
    says(page, "Done in")


def test_two_hundred_clicks(page: Page, studio: Served) -> None:
    asked: list[str] = []
    answered: list[str] = []
    page.on("request", lambda request: asked.append(named(request)))
    page.on("requestfinished", lambda request: answered.append(named(request)))
    before = len(jobs_of(studio))
    page.fill("#sf-prompt textarea", "a frog")
    open_advanced(page)
    page.get_by_label("Steps", exact=True).fill("1")
    with held(studio.desk) as gate:
        page.evaluate(CLICKS)
        expect(progress(page).get_by_role("alert")).to_contain_text(
            f"{MOST_EACH} of yours are waiting", timeout=WAIT
        )
        says(page, f"Waiting: 1 of {MOST_EACH}")
        says(page, f"{MOST_EACH - 1} more wait")
        while answered.count("predict") < 200:
            page.wait_for_event("requestfinished", timeout=WAIT)
        assert len(jobs_of(studio)) - before == MOST_EACH
        # Each click is one question that is answered; those that stay open are few, however many clicks.
        assert asked.count("predict") < 210
        assert asked.count("join") <= 20
        gate.set()
        says(page, "Done in")
    expect(progress(page).get_by_role("alert")).to_have_count(0)  # there is room again
    expect(page.locator("#sf-create-results .grid-container img")).to_have_count(MOST_EACH)
