"""The page, put together."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import gradio as gr
import pytest
from PIL import Image

from sfumato.errors import RecipeError
from sfumato.serving.desk import Desk
from sfumato.serving.queue import MOST_WAITING
from sfumato.serving.studio.build import build, style, title_of
from sfumato.serving.studio.look import Dressed, Look, built_in
from sfumato.serving.studio.tabs import TABS
from sfumato.serving.studio.words import Words
from tiny_studio import open_tiny_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


def tabs_of(desk: Desk, *names: str) -> list[str]:
    paper = built_in("paper")
    look = paper.look.model_copy(update={"tabs": names})
    config = build(desk, replace(paper, look=look)).get_config_file()
    return [one["props"]["label"] for one in config["components"] if one["type"] == "tabitem"]


def test_all_tabs_are_there_unless_a_look_says_otherwise(desk: Desk) -> None:
    assert tabs_of(desk, *Look().tabs) == [name.capitalize() for name in TABS]


def test_a_tab_of_ones_own_is_a_module_and_a_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(desk: Desk, words: Words, look: Look) -> dict[str, Any]:
        return {"said": gr.Markdown("Mine")}

    own = ModuleType("sfumato.serving.studio.own_tab")
    monkeypatch.setattr(own, "build", make, raising=False)
    monkeypatch.setitem(sys.modules, own.__name__, own)
    monkeypatch.setitem(cast(dict[str, str], TABS), "train", "own_tab")
    assert tabs_of(desk, "create", "train") == ["Create", "Train"]


@pytest.mark.parametrize("names", [("gallery", "create"), ("create",), ("gallery",), ()])
def test_looks_choose_tabs_and_their_order(desk: Desk, names: tuple[str, ...]) -> None:
    assert tabs_of(desk, *names) == [name.capitalize() for name in names]


def test_what_people_write_into_a_look_stands_on_the_page(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "above.html").write_text("<b>above</b>")
    (tmp_path / "below.html").write_text("<b>below</b>")
    look = Look(
        title="<i>Mine</i>", welcome="**Hello**", above="above.html", below="below.html", prompt="a cat"
    )
    config = build(desk, Dressed(look, tmp_path)).get_config_file()
    values = [one["props"].get("value") for one in config["components"]]
    assert values.index("<b>above</b>") < values.index("**Hello**") < values.index("<b>below</b>")
    assert any(str(one).endswith('<h1 class="sf-title">&lt;i&gt;Mine&lt;/i&gt;</h1>') for one in values)
    assert config["title"] == "<i>Mine</i>"
    assert "a cat" in values


def test_nothing_of_the_page_is_offered_to_programs_or_told(desk: Desk) -> None:
    config = build(desk, built_in("paper")).get_config_file()
    assert config["analytics_enabled"] is False
    assert {one["api_visibility"] for one in config["dependencies"]} == {"private"}


def test_the_rules_of_all_looks_load_nothing() -> None:
    assert "url(" not in style()
    assert "@import" not in style()
    assert ":focus-visible" in style()


def test_a_logo_stands_beside_the_title(desk: Desk, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "logo.png")
    title = title_of(Dressed(Look(title="Mine", logo="logo.png"), tmp_path))
    assert re.fullmatch(
        r'<h1 class="sf-title"><img class="sf-logo" alt="" src="data:image/png;base64,[\w+/=]+">Mine</h1>',
        title,
    )
    with pytest.raises(RecipeError, match="logo: there is no such file"):
        build(desk, Dressed(Look(logo="none.png"), tmp_path))


def test_many_pages_are_followed_at_once_and_few_are_remembered(desk: Desk) -> None:
    page = build(desk, built_in("paper"))
    assert page.max_threads > MOST_WAITING  # or those that wait would keep everybody from everything
    assert page.state_session_capacity <= 500  # each is half a MiB
