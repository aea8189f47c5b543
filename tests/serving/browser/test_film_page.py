"""Films, as a person meets them: drawn from one prompt to another, watched, and taken along."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from held_queue import held
from served_studio import Served
from sfumato.serving.desk import ALONE
from studio_axe import findings
from studio_pages import PHONE, WAIT, OpenPage, draw, go_to, overflow_of

SHOWN = "#sf-edit-film-shown"
PROGRESS = "#sf-edit-progress"


def ask(page: Page, *, frames: str = "3", other: str = "a rabbit on a beach") -> None:
    """Fill in what a small film needs."""
    go_to(page, "Edit")
    page.get_by_role("radio", name="Mix two prompts").check()
    page.fill("#sf-edit-prompt textarea", "a frog on a beach")
    page.get_by_label("Mixed with").fill(other)
    page.get_by_role("button", name="How the film goes").click()
    page.get_by_label("Pictures in all").fill(frames)


def film(page: Page) -> Locator:
    return page.get_by_role("button", name="As a film")


def moving(page: Page, shown: str = SHOWN) -> Image.Image:
    image = page.locator(f"{shown} img")
    image.wait_for(timeout=3 * WAIT)  # it is many pictures
    address = image.get_attribute("src")
    assert address is not None
    return Image.open(BytesIO(page.request.get(address).body()))


def downloaded(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_a_film_is_drawn_watched_and_taken_along(page: Page, studio: Served) -> None:
    go_to(page, "Edit")
    expect(film(page)).to_be_hidden(timeout=WAIT)  # there is nothing to go to
    before = len(studio.desk.gallery.search(ALONE))
    ask(page)
    film(page).press("Enter")
    with moving(page) as shown:
        assert (shown.format, shown.size) == ("WEBP", (128, 128))
        shown.seek(2)
        with pytest.raises(EOFError):
            shown.seek(3)
    expect(page.locator(PROGRESS)).to_contain_text("Done in", timeout=WAIT)
    for kind, begins in (("GIF", b"GIF89a"), ("WebP", b"RIFF"), ("MP4", b"\0\0\0")):
        box = page.locator("#sf-edit-film-shown-box")
        box.get_by_role("radio", name=kind).check()
        name, content = downloaded(page, f"Download the film ({kind})")
        assert name == f"a-frog-on-a-beach-morph.{kind.lower()}"
        assert content.startswith(begins)
    assert len(studio.desk.gallery.search(ALONE)) == before
    page.set_viewport_size({"width": 1280, "height": 1800})  # in which the row of Draw covers nothing
    assert [str(one) for one in findings(page, tabs=["Edit"]) if not one.excused] == []


def test_what_is_missing_is_said_and_a_film_is_stopped(page: Page, studio: Served) -> None:
    ask(page, other="")
    film(page).click()
    expect(page.locator(PROGRESS)).to_contain_text("what is to be mixed in.", timeout=WAIT)
    page.get_by_label("Mixed with").fill("a rabbit on a beach")
    page.get_by_label("Pictures in all").fill("120")
    film(page).click()
    expect(page.locator(PROGRESS)).to_contain_text("step ", timeout=WAIT)
    page.locator("#sf-edit-prompt textarea").press("Escape")
    expect(page.locator(PROGRESS)).to_contain_text("Stopped", timeout=WAIT)
    stopped = studio.desk.queue.of(ALONE)[-1]
    assert (stopped.state, stopped.film) == ("cancelled", None)


def test_a_film_waits_is_followed_after_a_reload_and_stopped(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        page = open_page(served)
        progress = page.locator(PROGRESS)
        ask(page)
        with held(served.desk):
            film(page).click()
            expect(progress).to_contain_text("Waiting", timeout=WAIT)
            page.get_by_label("Pictures in all").fill("120")
            film(page).click()
            expect(progress).to_contain_text("1 more waits", timeout=WAIT)
            page.reload()
            expect(progress).to_contain_text("Waiting: 1 of 2", timeout=WAIT)
        with moving(page) as shown:
            assert shown.format == "WEBP"
        expect(progress).to_contain_text("Drawing 2 of 2", timeout=WAIT)
        page.reload()
        expect(progress).to_contain_text("Drawing 2 of 2", timeout=WAIT)
        with moving(page) as shown:  # the first one is still there
            assert shown.format == "WEBP"
        with held(served.desk):  # so that the next one waits
            film(page).click()
            expect(progress).to_contain_text("1 more waits", timeout=WAIT)
            page.get_by_role("button", name="Stop all").click()
            expect(progress).to_contain_text("2 stopped", timeout=WAIT)
        jobs = [one.state for one in served.desk.queue.of(ALONE) if one.tab == "edit"]
        assert jobs == ["done", "cancelled", "cancelled"]
        page.close()


def test_the_format_that_was_chosen_is_remembered(
    other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    with other_studio() as served:
        page = open_page(served, viewport=PHONE)
        draw(page, "a boat on the sea")
        page.get_by_role("button", name="Animate").first.click()
        with moving(page, "#sf-create-animation") as shown:
            assert shown.format == "WEBP"
        box = page.locator("#sf-create-animation-box")
        expect(box.get_by_role("radio", name="WebP")).to_be_checked()
        box.get_by_role("radio", name="GIF").check()
        assert overflow_of(page) <= 0
        page.reload()
        page.wait_for_selector("#sf-generate")
        draw(page, "a boat on the sea")
        page.get_by_role("button", name="Animate").first.click()
        page.locator("#sf-create-animation img").wait_for(timeout=WAIT)
        expect(box.get_by_role("radio", name="GIF")).to_be_checked(timeout=WAIT)
        name, content = downloaded(page, "Download the animation (GIF)")
        assert (name[-4:], content[:6]) == (".gif", b"GIF89a")
        page.close()
