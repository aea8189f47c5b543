"""What people and files say stays text in the browser: in prompts, names of files, metadata, and looks."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.serving.studio.look import FILE, read_look
from studio_pages import WAIT, OpenPage, draw, drop, go_to, next_frame, open_advanced

#: Each would say so in a dialog, which the fixture of the page counts as a failure.
NASTY = (
    """"'><img src=x onerror=alert(1)><svg onload=alert(2)></textarea></script><script>alert(3)</script>"""
    "${alert(8)} {{evil}} [evil](javascript:alert(9)) ![evil](evil.png)"
)
#: What is harmless to those who clean HTML of scripts, and asks for something all the same; without commas.
QUIETER = "<b id=evil>x</b><img src=evil.png><a href=http://evil.example>go</a><style>*{}</style>"


def what_could_act_has(page: Page) -> None:
    """Wait until what stands on the page has acted, if it can: what came later has."""
    page.evaluate("""() => new Promise((acted) => {
      document.body.insertAdjacentHTML("beforeend", "<img alt='' hidden src='data:,'>");
      document.body.lastElementChild.onerror = (event) => { event.target.remove(); acted(); };
    })""")
    next_frame(page)


def test_a_prompt_is_text_wherever_it_is_shown(page: Page) -> None:
    open_advanced(page)
    page.get_by_label("Steps").fill("8")
    draw(page, NASTY)
    picture = page.locator("#sf-create-results img").first
    assert (picture.get_attribute("alt") or "").startswith(NASTY[:60])
    go_to(page, "Gallery")
    page.locator("#sf-gallery button").first.click()
    page.wait_for_selector("#sf-picture img")
    details = page.locator("#sf-details")
    expect(details).to_contain_text(NASTY)
    details.locator("summary").last.click()
    assert details.locator("img, svg, script").count() == 0
    what_could_act_has(page)


def test_what_a_picture_says_and_is_called_is_text(page: Page) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", f"{NASTY}\nSteps: 4, Sampler: <img src=x onerror=alert(4)>, Seed: 7")
    written = BytesIO()
    Image.new("RGB", (8, 8)).save(written, "PNG", pnginfo=info)
    drop(page.locator("#sf-drop button"), "<img src=x onerror=alert(5)>.png", written.getvalue())
    # Filled in, or refused because there is no such sampler: either is text.
    toast, prompt = page.get_by_test_id("toast-body"), page.locator("#sf-prompt textarea")
    page.wait_for_function(
        "document.querySelector('[data-testid=toast-body]') || "
        "document.querySelector('#sf-prompt textarea').value"
    )
    assert toast.count() or NASTY in prompt.input_value()
    what_could_act_has(page)
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("wrong", [("Model",), ("Model", "Sampler", "Schedule type"), ("Seed",), ("Size",)])
def test_what_a_toast_says_of_a_picture_is_text(page: Page, wrong: tuple[str, ...]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    settings = {"Steps": "4", "Sampler": "Euler a", "Seed": "7", "Model": "other"}
    settings |= dict.fromkeys(wrong, QUIETER)
    pairs = ", ".join(f"{name}: {value}" for name, value in settings.items())
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", f"a frog {QUIETER}\nNegative prompt: {QUIETER}\n{pairs}")
    written = BytesIO()
    Image.new("RGB", (8, 8)).save(written, "PNG", pnginfo=info)
    drop(page.locator("#sf-drop button"), "<b>.png", written.getvalue())
    toast = page.get_by_test_id("toast-text")
    expect(toast).to_contain_text("<b id=evil>x</b><img src=evil", timeout=WAIT)
    assert toast.locator("*").count() == 0
    assert page.locator("#evil, img[src*=evil], a[href*=evil]").count() == 0
    assert [one for one in asked if "evil" in one] == []


@pytest.mark.parametrize("number", ["<img src=x onerror=alert(6)>"])
def test_what_is_wrong_is_told_as_text(page: Page, number: str) -> None:
    open_advanced(page)
    page.get_by_role("textbox", name="Seed").fill(number)
    page.click("#sf-generate")
    problem = page.locator("#sf-create-progress [role=alert]")
    expect(problem).to_contain_text(number, timeout=WAIT)
    assert page.locator("img[src=x]").count() == 0


def test_titles_of_looks_are_text(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage, tmp_path: Path
) -> None:
    title = "<img src=x onerror=alert(7)>"
    (tmp_path / FILE).write_text(f"title = '{title}'\n[words]\ngenerate = '{title}'\n")
    with other_studio(read_look(tmp_path)) as served:
        page = open_page(served)
        expect(page.locator("h1")).to_have_text(title)
        expect(page.locator("#sf-generate")).to_have_text(title)
        assert page.title() == title
        page.close()
