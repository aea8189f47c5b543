"""The tab Learn, as a person meets it: the slider moves without the server, and by keyboard."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageSequence
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.desk import ALONE
from sfumato.serving.studio.learn_forms import EXAMPLES, Learn, recipe_of_learn
from sfumato.serving.studio.learn_kept import KeptLesson
from sfumato.serving.studio.traces import Traces
from studio_pages import WAIT, go_to, type_in
from tiny_studio import followed

GRAVE = ("serious", "critical")
EVIL = "a frog <img src=x onerror=alert(1)> ${1+1} {{1+1}}"


@pytest.fixture(scope="module", autouse=True)
def kept(studio: Served) -> None:
    """A lesson that the tab shows first: when it is there, the tab is."""
    desk, recipe = studio.desk, recipe_of_learn(Learn(prompt="what was here before", steps=2))
    traces = Traces(desk.settings.data_dir / "studio" / "traces")
    work = KeptLesson(desk.settings, desk.models, (recipe,), keeps=True, owner=ALONE, traces=traces)
    assert followed(desk, desk.queue.submit(recipe, ALONE, work.draw)).state == "done"


@pytest.fixture
def lesson(page: Page, request: pytest.FixtureRequest) -> Page:
    """The page with a picture that was drawn, in twenty steps."""
    go_to(page, "Learn")
    prompt, evil = page.locator("#sf-learn-prompt textarea"), f"{request.node.name} {EVIL}"
    prompt.fill(evil)
    expect(prompt).to_have_value(evil)
    expect(page.locator(".sf-lesson-of b")).not_to_have_text(evil)  # what the tab shows first is there
    page.click("#sf-learn-show")
    expect(page.locator(".sf-lesson-of b")).to_have_text(evil, timeout=WAIT)  # not the one before
    expect(page.locator("#sf-learn-progress")).to_contain_text("Done in", timeout=WAIT)  # all of it
    return page


def test_the_slider_shows_every_step_without_the_server(lesson: Page) -> None:
    asked: list[str] = []
    lesson.on("request", lambda request: asked.append(request.url))
    slider = lesson.locator("#sf-learn-steps input[type=range]")
    expect(slider).to_have_attribute("aria-valuetext", "step 1 of 20")
    pictures = lesson.locator("#sf-learn-steps img:visible")
    expect(pictures).to_have_count(4)
    marker = lesson.locator("#sf-learn-steps .marker").first
    sources, places = {pictures.nth(2).get_attribute("src")}, {marker.get_attribute("x1")}
    slider.focus()
    for step in (2, 3, 4):
        lesson.keyboard.press("ArrowRight")
        expect(slider).to_have_attribute("aria-valuetext", f"step {step} of 20")
        expect(pictures).to_have_count(4)
        sources.add(pictures.nth(2).get_attribute("src"))
        places.add(marker.get_attribute("x1"))
    assert len(sources) == len(places) == 4
    lesson.locator("#sf-learn-steps").get_by_role("button", name="Play").click()
    expect(slider).to_have_attribute("aria-valuetext", "step 20 of 20")
    assert [one for one in asked if not one.startswith("data:")] == []
    expect(lesson.locator("#sf-learn-steps").get_by_role("button", name="Play")).to_be_visible()
    # Nothing of the prompt acts, and nothing of it is worked out.
    chips = lesson.locator(".sf-token b").all_inner_texts()
    assert "".join(chips).replace("start", "").replace("end", "").endswith("{{1+1}}")


def show(page: Page, prompt: str) -> None:
    """Have another lesson drawn, and wait for it."""
    page.fill("#sf-learn-prompt textarea", prompt)
    page.click("#sf-learn-show")
    expect(page.locator(".sf-lesson-of b")).to_have_text(prompt, timeout=3 * WAIT)


def test_the_slider_stays_where_somebody_put_it(lesson: Page) -> None:
    steps = lesson.locator("#sf-learn-steps")
    slider = steps.locator("input[type=range]")
    shown = slider.evaluate_handle(
        """(slider) => () => {
          const group = slider.closest(".sf-group");
          const now = [...group.querySelectorAll("figure img[data-step]:not([hidden])")];
          return [slider.value, ...new Set(now.map((one) => one.dataset.step))].join();
        }"""
    )
    assert shown.evaluate("shown => shown()") == "0,0"
    slider.focus()
    for _ in range(6):
        lesson.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "step 7 of 20")
    show(lesson, "a frog on a beach")
    expect(slider).to_have_attribute("aria-valuetext", "step 7 of 20")
    assert shown.evaluate("shown => shown()") == "6,6"
    # Of another number of steps it begins where every drawing does; and so it does after it ran through.
    lesson.get_by_role("button", name="Settings").click()
    lesson.get_by_label("number input for Steps").fill("3")
    lesson.keyboard.press("Tab")
    show(lesson, "a red fox")
    expect(slider).to_have_attribute("aria-valuetext", "step 1 of 3")
    assert shown.evaluate("shown => shown()") == "0,0"
    steps.get_by_role("button", name="Play").click()
    expect(slider).to_have_attribute("aria-valuetext", "step 3 of 3", timeout=WAIT)
    show(lesson, "a castle")
    expect(slider).to_have_attribute("aria-valuetext", "step 1 of 3")


def test_the_lesson_before_stays_until_the_next_is_there(lesson: Page) -> None:
    before = lesson.locator(".sf-lesson-of b").inner_text()
    lesson.fill("#sf-learn-prompt textarea", "")
    lesson.click("#sf-learn-show")
    alert = lesson.locator("#sf-learn-progress [role=alert]")
    expect(alert).to_have_text("Say what you would like to see.", timeout=WAIT)
    expect(lesson.locator(".sf-lesson-of b")).to_have_text(before)
    show(lesson, "a frog")
    expect(lesson.locator("#sf-learn-progress")).to_contain_text("Done in")


def test_the_format_that_was_chosen_is_remembered(lesson: Page) -> None:
    chosen = lesson.locator("#sf-learn-format")
    lesson.get_by_role("button", name="Take it along").click()
    chosen.get_by_role("radio", name="GIF").check()
    show(lesson, "a frog on a beach")
    expect(chosen.get_by_role("radio", name="GIF")).to_be_checked()
    # In a new tab of the browser as well.
    lesson.evaluate("sessionStorage.clear()")
    lesson.reload()
    lesson.wait_for_selector("#sf-generate", state="attached")
    go_to(lesson, "Learn")
    expect(lesson.locator("#sf-learn-steps")).to_be_visible(timeout=WAIT)
    lesson.get_by_role("button", name="Take it along").click()
    expect(chosen.get_by_role("radio", name="GIF")).to_be_checked()
    lesson.click("#sf-learn-make")
    with lesson.expect_download(timeout=WAIT) as download:
        lesson.locator("#sf-learn-file a").first.click()
    assert download.value.suggested_filename.endswith(".gif")


def test_experiments_and_files(lesson: Page) -> None:
    lesson.get_by_role("button", name="Put two side by side").click()
    type_in(lesson, "#sf-learn-other textarea", "a rabbit")
    lesson.click("#sf-learn-compare-go")
    expect(lesson.locator("#sf-learn-compare h3")).to_have_text(
        [re.compile(re.escape(EVIL)), "a rabbit"], timeout=WAIT
    )
    lesson.get_by_role("button", name="Mix two prompts").click()
    type_in(lesson, "#sf-learn-mix-other textarea", "a rabbit")
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
    lesson.locator("#sf-learn-format").get_by_role("radio", name="WebP").check()
    lesson.click("#sf-learn-make")
    with lesson.expect_download() as download:
        lesson.locator("#sf-learn-file a").first.click()
    assert download.value.suggested_filename.endswith(".webp")


def test_a_lesson_is_taken_up_after_a_reload(lesson: Page, request: pytest.FixtureRequest) -> None:
    slider = lesson.locator("#sf-learn-steps input[type=range]")
    go_to(lesson, "Create")
    lesson.reload()
    lesson.wait_for_selector("#sf-generate")
    go_to(lesson, "Gallery")
    expect(lesson.locator("#sf-gallery img").first).to_be_visible()
    expect(slider).to_have_count(0)  # nothing of it is asked for before the tab is opened
    go_to(lesson, "Learn")
    expect(lesson.locator(".sf-lesson-of b")).to_contain_text(request.node.name, timeout=WAIT)
    # The slider moves as before, and experiments go on from there.
    slider.focus()
    lesson.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "step 20 of 20")
    lesson.get_by_role("button", name="Take it along").click()
    lesson.click("#sf-learn-make")
    expect(lesson.locator("#sf-learn-file a").first).to_be_visible(timeout=WAIT)


def test_what_was_tried_out_is_there_after_a_reload(lesson: Page) -> None:
    lesson.get_by_role("button", name="Begin with this picture").click()
    type_in(lesson, "#sf-learn-begin-prompt textarea", "a rabbit")
    lesson.click("#sf-learn-begin-go")
    begun = lesson.locator("#sf-learn-begin input[type=range][aria-valuetext]")
    expect(begun).to_have_attribute("aria-valuetext", "step 9 of 20", timeout=WAIT)
    # One that is under way when the page goes.
    lesson.get_by_role("button", name="Put two side by side").click()
    lesson.get_by_label("number of steps").check()
    type_in(lesson, "#sf-learn-other textarea", "4")
    lesson.click("#sf-learn-compare-go")
    expect(lesson.locator("#sf-learn-compare .sf-line, #sf-learn-compare h3").first).to_be_visible()
    lesson.reload()
    lesson.wait_for_selector("#sf-generate", state="attached")
    go_to(lesson, "Learn")
    expect(lesson.locator("#sf-learn-steps")).to_be_visible(timeout=WAIT)
    lesson.get_by_role("button", name="Begin with this picture").click()
    expect(lesson.locator("#sf-learn-begin-prompt textarea")).to_have_value("a rabbit", timeout=WAIT)
    begun.focus()
    lesson.keyboard.press("End")
    expect(begun).to_have_attribute("aria-valuetext", "step 20 of 20")
    lesson.get_by_role("button", name="Put two side by side").click()
    expect(lesson.locator("#sf-learn-compare h3").last).to_have_text("4", timeout=WAIT)
    expect(lesson.locator("#sf-learn-other textarea")).to_have_value("4")
    expect(lesson.get_by_label("number of steps")).to_be_checked()


def test_an_example_is_drawn_with_one_click(page: Page) -> None:
    go_to(page, "Learn")
    expect(page.locator(".sf-lesson-of b")).not_to_have_text(EXAMPLES[1])  # what the tab shows first is there
    page.get_by_role("button", name=EXAMPLES[1]).click()
    expect(page.locator("#sf-learn-prompt textarea")).to_have_value(EXAMPLES[1])
    expect(page.locator(".sf-lesson-of b")).to_have_text(EXAMPLES[1], timeout=WAIT)


@pytest.mark.parametrize("suffix", ["GIF", "WebP", "MP4"])
def test_files_to_take_along_are_a_way_from_noise_to_the_picture(
    lesson: Page, suffix: str, tmp_path: Path
) -> None:
    lesson.get_by_role("button", name="Take it along").click()
    lesson.get_by_label(suffix, exact=True).check()
    lesson.get_by_label("the noisy latent").check()
    lesson.click("#sf-learn-make")
    with lesson.expect_download(timeout=WAIT) as download:
        lesson.locator("#sf-learn-file a").first.click()
    path = tmp_path / f"file.{suffix.lower()}"
    download.value.save_as(path)
    frames = frames_of(path)
    assert frames[0].shape == frames[-1].shape == (128, 128, 3)
    # Neighbours differ much in noise, and little in a picture.
    rough = [float(np.abs(np.diff(one.astype(float), axis=1)).mean()) for one in frames]
    assert len(frames) > 20
    assert rough[0] > 2 * rough[-1]


def frames_of(path: Path) -> list[Any]:
    if path.suffix == ".mp4":
        av = pytest.importorskip("av")
        with av.open(str(path)) as video:
            return [one.to_ndarray(format="rgb24") for one in video.decode(video=0)]
    with Image.open(path) as image:
        return [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(image)]


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
