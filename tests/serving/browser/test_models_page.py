"""The tab Models in a browser."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from served_studio import Served, bundled_settings, served_studio
from studio_pages import PHONE, WAIT, OpenPage, draw, go_to, open_advanced
from tiny_models import tiny_folder


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder of models with the tiny one, as on a disk that can be unplugged."""
    shutil.copytree(tiny_folder(), tmp_path / "disk" / "tiny")
    return tmp_path / "disk"


@pytest.fixture
def served(copies: None, library: Path, tmp_path: Path) -> Iterator[Served]:
    settings = replace(bundled_settings(tmp_path / "home"), model_dirs=(library,))
    with served_studio(settings) as served:
        yield served


def test_a_model_is_found_by_keyboard_loaded_and_converted(served: Served, open_page: OpenPage) -> None:
    page = open_page(served)
    go_to(page, "Models")
    rows = page.locator("#sf-models tr[data-key]")
    expect(rows).to_have_count(2, timeout=WAIT)
    page.fill("#sf-models-search input, #sf-models-search textarea", "tiny")
    expect(rows).to_have_count(1, timeout=WAIT)
    rows.get_by_role("button", name="tiny").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#sf-model h2")).to_have_text("tiny", timeout=WAIT)
    page.click("#sf-models-load")
    expect(page.locator("#sf-models-progress")).to_contain_text("Loaded in", timeout=WAIT)
    expect(page.locator("#sf-models-loaded")).to_contain_text("tiny")
    page.click("#sf-models-give-back")
    expect(page.locator("#sf-models-loaded")).to_contain_text("no model yet", timeout=WAIT)
    page.locator("#sf-convert").get_by_role("button", name="Convert").first.click()
    page.get_by_label("a diffusers folder").check()
    page.fill("#sf-convert-name input, #sf-convert-name textarea", "half")
    page.click("#sf-convert-go")
    expect(page.locator("#sf-models-progress")).to_contain_text("half is there", timeout=WAIT)
    page.fill("#sf-models-search input, #sf-models-search textarea", "half")
    rows.get_by_role("button", name="half").click()
    expect(page.locator("#sf-model h2")).to_have_text("half", timeout=WAIT)
    page.click("#sf-models-use")
    draw(page, "a frog")


def test_what_needs_a_model_waits_until_one_is_chosen(served: Served, open_page: OpenPage) -> None:
    page = open_page(served)
    go_to(page, "Models")
    expect(page.locator("#sf-models tr[data-key]")).to_have_count(2, timeout=WAIT)
    page.locator("#sf-convert").get_by_role("button", name="Convert").first.click()
    for button in ("use", "load", "give-back"):
        expect(page.locator(f"#sf-models-{button}")).to_be_disabled()
    expect(page.locator("#sf-convert-go")).to_be_disabled()
    page.get_by_label("a single file").check()
    page.locator("#sf-models").get_by_role("button", name="bundled").click()
    for button in ("use", "load", "give-back"):
        expect(page.locator(f"#sf-models-{button}")).to_be_enabled(timeout=WAIT)
    expect(page.locator("#sf-convert-go")).to_be_enabled()
    expect(page.get_by_label("a diffusers folder")).to_be_checked(timeout=WAIT)  # what can be written
    expect(page.locator("#sf-convert-room")).to_contain_text("as bundled-folder;", timeout=WAIT)


def test_what_failed_is_said_until_something_else_is_done(
    served: Served, open_page: OpenPage, library: Path
) -> None:
    page = open_page(served, viewport=PHONE)
    go_to(page, "Models")
    table, failed = page.locator("#sf-models"), page.locator("#sf-models-progress [role=alert]")
    table.get_by_role("button", name="tiny").click()
    expect(page.locator("#sf-model h2")).to_have_text("tiny", timeout=WAIT)
    expect(page.locator("#sf-model h2")).to_be_in_viewport(timeout=WAIT)
    assert below(page.locator("#sf-models-use"), page.locator("#sf-model"))
    assert below(page.locator("#sf-model"), table)  # and not between the fields and the list
    library.rename(library.with_name("unplugged"))
    page.click("#sf-models-load")
    expect(failed).to_contain_text("“Model”: unknown model", timeout=WAIT)
    table.get_by_role("button", name="bundled").click()
    expect(failed).to_have_count(0, timeout=WAIT)


def below(one: Locator, other: Locator) -> bool:
    """Tell whether something stands below something else."""
    places = [each.bounding_box() for each in (one, other)]
    assert places[0] is not None
    assert places[1] is not None
    return places[0]["y"] > places[1]["y"]


def test_a_folder_of_models_vanishes_and_the_bundled_one_draws(
    served: Served, open_page: OpenPage, library: Path
) -> None:
    page = open_page(served)
    go_to(page, "Models")
    page.locator("#sf-models").get_by_role("button", name="tiny").click()
    expect(page.locator("#sf-model h2")).to_have_text("tiny", timeout=WAIT)
    page.click("#sf-models-use")
    expect(page.get_by_role("tab", name="Create", exact=True)).to_have_attribute("aria-selected", "true")
    open_advanced(page)
    expect(page.get_by_label("Model", exact=True).locator("visible=true")).to_have_value("tiny")
    library.rename(library.with_name("unplugged"))
    page.fill("#sf-prompt textarea", "a frog")
    page.click("#sf-generate")
    expect(page.locator("#sf-create-progress [role=alert]")).to_contain_text("unknown model", timeout=WAIT)
    go_to(page, "Models")
    expect(page.locator("#sf-models-where [role=alert]")).to_contain_text("is not there", timeout=WAIT)
    page.click("#sf-models-look")
    expect(page.locator("#sf-models tr[data-key]")).to_have_count(1, timeout=WAIT)
    go_to(page, "Create")
    expect(page.get_by_label("Model", exact=True).locator("visible=true")).to_have_value("bundled")
    draw(page, "a frog")
