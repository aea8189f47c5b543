"""The fold "Finer points" on Create and Edit, as a person meets it."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from served_studio import Served
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Resolved
from studio_pages import (
    PHONE,
    WAIT,
    OpenPage,
    draw,
    drawn,
    drop,
    go_to,
    on_canvas,
    open_advanced,
    overflow_of,
)

GROUPS = ("Guidance", "Parts of the model", "Larger, with the same words", "Speed", "For the curious")


def recipe_in(content: bytes, path: Path) -> Resolved:
    path.write_bytes(content)
    return from_json(read_metadata(path).resolved_json, Resolved)


def open_fold(page: Page, tab: str) -> None:
    """Show the finer points of a tab of which Advanced is open, and all of its groups."""
    fold = page.locator(f"#sf-{tab}-finer")
    fold.get_by_role("button", name="Finer points").click()
    for group in GROUPS:
        fold.get_by_role("button", name=group).click()
    fold.get_by_label("Noise put back by DDIM (eta)").wait_for()


def choose(page: Page, tab: str, label: str, option: str) -> None:
    page.locator(f"#sf-{tab}-finer").get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_what_is_set_on_create_is_in_the_picture(page: Page, tmp_path: Path) -> None:
    open_advanced(page)
    page.get_by_label("Steps", exact=True).fill("4")
    open_fold(page, "create")
    fold = page.locator("#sf-create-finer")
    fold.get_by_label("Rescaled guidance").fill("0.4")
    fold.get_by_label("How many times as large").fill("1.5")
    fold.get_by_label("How much of it to draw anew").fill("0.5")
    choose(page, "create", "Enlarged by", "lanczos")
    fold.get_by_label("The whole network every").fill("2")
    choose(page, "create", "Trained with zero terminal SNR", "no")
    expect(page.locator("#sf-create-finer-set")).to_contain_text("Rescaled guidance", timeout=WAIT)
    expect(fold.get_by_label("Guidance by the picture")).to_have_count(0)  # the bundled model cannot
    draw(page, "a frog")
    made = recipe_in(drawn(page), tmp_path / "made.png")
    assert made.text is not None
    assert made.hires is not None
    assert made.schedule is not None
    assert (made.text.guidance_rescale, made.steps, made.cache_interval) == (0.4, 4, 2)
    assert (made.hires.scale, made.hires.strength, made.hires.method) == (1.5, 0.5, "lanczos")
    assert made.schedule.zero_snr is False


def test_a_dropped_picture_brings_them_and_says_so(page: Page, tmp_path: Path) -> None:
    open_advanced(page)
    page.get_by_label("Steps", exact=True).fill("3")
    open_fold(page, "create")
    fold = page.locator("#sf-create-finer")
    fold.get_by_label("Clip skip").fill("2")
    choose(page, "create", "Refiner", "bundled")
    fold.get_by_label("The refiner draws from").fill("0.4")
    fold.get_by_label("Perturbed-attention guidance").fill("1.5")
    draw(page, "a castle")
    before = recipe_in(drawn(page), tmp_path / "before.png")
    assert before.refine is not None
    page.reload()
    page.wait_for_selector("#sf-generate")
    drop(page.locator("#sf-drop button").first, "before.png", (tmp_path / "before.png").read_bytes())
    expect(page.locator("#sf-prompt textarea")).to_have_value("a castle", timeout=WAIT)
    open_advanced(page)
    expect(page.locator("#sf-create-finer-set")).to_contain_text("Clip skip", timeout=WAIT)
    open_fold(page, "create")
    expect(fold.get_by_label("Clip skip")).to_have_value("2")
    expect(fold.get_by_label("Refiner", exact=True)).to_have_value("bundled")
    expect(fold.get_by_label("Perturbed-attention guidance")).to_have_value("1.5")
    draw(page, "a castle")
    after = recipe_in(drawn(page), tmp_path / "after.png")
    assert after == before


def test_what_is_set_on_edit_is_in_the_picture(page: Page, tmp_path: Path) -> None:
    draw(page, "a frog")
    page.get_by_role("button", name="Edit this").first.click()
    on_canvas(page)
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    page.get_by_label("Steps", exact=True).locator("visible=true").fill("5")
    open_fold(page, "edit")
    fold = page.locator("#sf-edit-finer")
    fold.get_by_label("Dynamic thresholding").fill("0.99")
    fold.get_by_label("FreeU").fill("1.1, 1.2, 0.9, 0.8")
    choose(page, "edit", "Sides that fit each other", "left and right")
    fold.get_by_label("Share of another noise").fill("0.25")
    page.click("#sf-edit-draw")
    expect(page.locator("#sf-edit-progress")).to_contain_text("Done in", timeout=WAIT)
    address = page.locator("#sf-edit-results img").first.get_attribute("src")
    assert address is not None
    made = recipe_in(page.request.get(address).body(), tmp_path / "made.png")
    assert made.extras is not None
    assert made.extras.freeu is not None
    assert made.variation is not None
    assert (made.steps, made.extras.threshold, made.extras.tiling) == (5, 0.99, "x")
    assert (made.extras.freeu.b2, made.variation.strength) == (1.2, 0.25)
    assert made.image is not None


def test_what_cannot_be_is_said_where_the_picture_would_be(page: Page) -> None:
    open_advanced(page)
    open_fold(page, "create")
    page.locator("#sf-create-finer").get_by_label("Side of a window").fill("96")
    page.fill("#sf-prompt textarea", "a frog")
    page.click("#sf-generate")
    expect(page.locator("#sf-create-progress [role=alert]")).to_contain_text(
        "there are no windows", timeout=WAIT
    )


def test_the_keyboard_opens_it_and_reaches_its_fields(page: Page) -> None:
    open_advanced(page)
    page.locator("#sf-create-finer").get_by_role("button", name="Finer points").focus()
    page.keyboard.press("Enter")
    page.locator("#sf-create-finer").get_by_role("button", name="Guidance").wait_for()
    page.keyboard.press("Tab")  # to the first group
    page.keyboard.press("Enter")
    field = page.locator("#sf-create-finer").get_by_label("Rescaled guidance")
    field.wait_for()
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.type("0.5")
    expect(field).to_have_value("0.5")


@pytest.mark.parametrize("tab", ["create", "edit"])
def test_a_phone_shows_all_of_it(tab: str, open_page: OpenPage, studio: Served) -> None:
    page = open_page(studio, viewport=PHONE, has_touch=True, is_mobile=True)
    go_to(page, tab.capitalize())
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    open_fold(page, tab)
    assert overflow_of(page) <= 0
