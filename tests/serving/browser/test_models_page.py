"""The tab Models in a browser."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from served_studio import Served, bundled_settings, served_studio
from studio_pages import WAIT, OpenPage, draw, go_to, open_advanced
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


def test_what_was_missing_is_said_until_it_is_there(served: Served, open_page: OpenPage) -> None:
    page = open_page(served)
    go_to(page, "Models")
    expect(page.locator("#sf-models tr[data-key]")).to_have_count(2, timeout=WAIT)
    notice = page.locator("#sf-models-notice [role=alert]")
    for button, line in (
        ("#sf-models-load", "Choose a model that can be drawn with first."),
        ("#sf-models-give-back", "Choose a model from the list first."),
    ):
        page.click(button)
        expect(notice).to_have_text(line, timeout=WAIT)
        page.locator("#sf-models").get_by_role("button", name="bundled").click()
        expect(notice).to_have_count(0, timeout=WAIT)
        page.reload()
        page.wait_for_selector("#sf-generate", state="attached")
        go_to(page, "Models")
        expect(page.locator("#sf-models tr[data-key]")).to_have_count(2, timeout=WAIT)
    page.locator("#sf-convert").get_by_role("button", name="Convert").first.click()
    page.get_by_label("a single file").check()
    page.locator("#sf-models").get_by_role("button", name="bundled").click()
    expect(page.get_by_label("a diffusers folder")).to_be_checked(timeout=WAIT)  # what can be written
    expect(page.locator("#sf-convert-room")).to_contain_text("as bundled-folder;", timeout=WAIT)


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
