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
from studio_pages import WAIT, OpenPage, draw, drop, go_to, open_advanced

#: Each would say so in a dialog, which the fixture of the page counts as a failure.
NASTY = (
    """"'><img src=x onerror=alert(1)><svg onload=alert(2)></textarea></script><script>alert(3)</script>"""
)


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
    page.wait_for_timeout(300)


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
    page.wait_for_timeout(300)
    assert page.locator("img[src=x]").count() == 0


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
