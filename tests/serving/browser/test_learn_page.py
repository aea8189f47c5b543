"""The tab Learn, as a person meets it: the slider moves without the server, and by keyboard."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from studio_pages import WAIT, go_to

GRAVE = ("serious", "critical")
EVIL = "a frog <img src=x onerror=alert(1)> ${1+1} {{1+1}}"


@pytest.fixture
def lesson(page: Page, request: pytest.FixtureRequest) -> Page:
    """The page with a picture that was drawn, in twenty steps."""
    go_to(page, "Learn")
    prompt, evil = page.locator("#sf-learn-prompt textarea"), f"{request.node.name} {EVIL}"
    prompt.fill(evil)
    expect(prompt).to_have_value(evil)
    page.wait_for_timeout(500)  # until what the tab shows first is wholly there
    page.click("#sf-learn-show")
    expect(page.locator(".sf-lesson-of b")).to_have_text(evil, timeout=WAIT)  # not the one before
    return page


def test_the_slider_shows_every_step_without_the_server(lesson: Page) -> None:
    asked: list[str] = []
    lesson.on("request", lambda request: asked.append(request.url))
    slider = lesson.locator("#sf-learn-steps input[type=range]")
    expect(slider).to_have_attribute("aria-valuetext", "step 20 of 20")
    pictures = lesson.locator("#sf-learn-steps img:visible")
    expect(pictures).to_have_count(4)
    marker = lesson.locator("#sf-learn-steps .marker").first
    sources, places = {pictures.nth(2).get_attribute("src")}, {marker.get_attribute("x1")}
    slider.focus()
    for step in (19, 18, 17):
        lesson.keyboard.press("ArrowLeft")
        expect(slider).to_have_attribute("aria-valuetext", f"step {step} of 20")
        expect(pictures).to_have_count(4)
        sources.add(pictures.nth(2).get_attribute("src"))
        places.add(marker.get_attribute("x1"))
    assert len(sources) == len(places) == 4
    lesson.locator("#sf-learn-steps").get_by_role("button", name="Play").click()
    expect(slider).to_have_attribute("aria-valuetext", "step 20 of 20")
    assert [one for one in asked if not one.startswith("data:")] == []
    # Nothing of the prompt acts, and nothing of it is worked out.
    chips = lesson.locator(".sf-token b").all_inner_texts()
    assert "".join(chips).replace("start", "").replace("end", "").endswith("{{1+1}}")


def test_experiments_and_files(lesson: Page) -> None:
    lesson.get_by_role("button", name="Put two side by side").click()
    lesson.fill("#sf-learn-other textarea", "a rabbit")
    lesson.click("#sf-learn-compare-go")
    expect(lesson.locator("#sf-learn-compare h3")).to_have_text(
        [re.compile(re.escape(EVIL)), "a rabbit"], timeout=WAIT
    )
    lesson.get_by_role("button", name="Mix two prompts").click()
    lesson.fill("#sf-learn-mix-other textarea", "a rabbit")
    lesson.keyboard.press("Control+Enter")  # draws what is nearest
    mix = lesson.locator("#sf-learn-mix input[type=range]")
    expect(mix).to_have_attribute("aria-valuetext", "50 % of “a rabbit”", timeout=WAIT)
    mix.focus()
    lesson.keyboard.press("End")
    expect(lesson.locator("#sf-learn-mix output")).to_contain_text("100 %")
    lesson.get_by_role("button", name="How much noise").click()
    box = lesson.get_by_label("zero terminal SNR")
    expect(lesson.get_by_text("As Stable Diffusion was published")).to_be_hidden()
    box.uncheck()
    expect(lesson.get_by_text("As Stable Diffusion was published")).to_be_visible()
    lesson.get_by_role("button", name="Take it along").click()
    lesson.click("#sf-learn-make")
    with lesson.expect_download() as download:
        lesson.locator("#sf-learn-file a").first.click()
    assert download.value.suggested_filename.endswith(".gif")


def test_a_lesson_is_taken_up_after_a_reload(lesson: Page, request: pytest.FixtureRequest) -> None:
    slider = lesson.locator("#sf-learn-steps input[type=range]")
    lesson.reload()
    lesson.wait_for_selector("#sf-generate")
    assert slider.count() == 0  # nothing of it is asked for before the tab is opened
    go_to(lesson, "Learn")
    expect(lesson.locator(".sf-lesson-of b")).to_contain_text(request.node.name, timeout=WAIT)
    # The slider moves as before, and experiments go on from there.
    slider.focus()
    lesson.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "step 1 of 20")
    lesson.get_by_role("button", name="Take it along").click()
    lesson.click("#sf-learn-make")
    expect(lesson.locator("#sf-learn-file a").first).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize("dark", [False, True])
def test_a_lesson_can_be_used_by_everybody(lesson: Page, dark: bool) -> None:
    lesson.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
    lesson.add_style_tag(content="* { transition: none !important }")  # colours would fade in
    lesson.get_by_role("button", name="How much noise").click()
    expect(lesson.get_by_label("zero terminal SNR")).to_be_visible()
    axe = Axe()
    for place in ("#sf-learn-lesson", "#sf-learn-schedule"):
        found = axe.run(lesson, context=place).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in GRAVE] == []
