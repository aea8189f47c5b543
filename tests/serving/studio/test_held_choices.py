"""Choices that come late are taken up again if they are here, and named if not."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from sfumato.models.folders import BUNDLED
from sfumato.serving.desk import Desk
from sfumato.serving.studio import create, finer, held_choices
from sfumato.serving.studio.held_choices import HELD, MOST, read, shape_of, taken_up
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import open_tiny_desk

WORDS = words_of(Look())
NAMES = ("size", "vae", *finer.BOUND)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said in passing."""
    lines: list[str] = []
    monkeypatch.setattr(gr, "Info", lines.append)
    return lines


def test_a_refiner_that_is_here_is_chosen_again(desk: Desk, said: list[str]) -> None:
    kept = {"finer_refiner": "tiny", "finer_refine_from": "0.7"}
    made = dict(zip(NAMES, taken_up(kept, "tiny", desk, WORDS), strict=True))
    assert made["refiner"]["value"] == "tiny"
    assert ("tiny", "tiny") in made["refiner"]["choices"]
    assert made["refine_from"]["value"] == "0.7"
    assert made["vae"].value == ""
    assert said == []


def test_what_is_gone_is_named_and_not_chosen(desk: Desk, said: list[str]) -> None:
    kept = {"finer_refiner": "old", "finer_vae": "soft", "finer_refine_from": "0.7"}
    made = dict(zip(NAMES, taken_up(kept, BUNDLED, desk, WORDS), strict=True))
    assert (made["refiner"]["value"], made["vae"].value, made["refine_from"]["value"]) == ("", "", "")
    assert said == ["Chosen before, and not here any more: old, soft."]


def test_shapes_are_chips_or_become_one(desk: Desk) -> None:
    wide = shape_of("Wide 160 x 104", BUNDLED, desk)
    assert wide.value == "Wide 160 x 104"
    own = shape_of("136 x 72", BUNDLED, desk)
    assert own.value == own.choices[-1][1] == "136 x 72"
    for none in (None, "", "large"):
        assert not isinstance(shape_of(none, BUNDLED, desk), gr.Radio)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "7", "[" * 100_000, json.dumps({"size": 7, "a": "x" * 999})]
)
def test_what_browsers_kept_may_be_anything(text: str) -> None:
    assert read(text) == {}


def test_texts_are_read_by_name() -> None:
    kept = {"finer_vae": "x" * MOST, "size": "136 x 72"}
    assert read(json.dumps(kept)) == kept


def test_a_tab_asks_the_browser_for_its_own(desk: Desk) -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = create.build(desk, WORDS, Look())
        shaped = page.load(None, None, None)
        held_choices.connect(shaped, desk, WORDS, "create", parts, gr.Textbox(visible=False))
    config: Any = page.get_config_file()
    asks = config["dependencies"][-1]
    assert "create." in str(asks["js"])
    assert all(name in parts and name in str(asks["js"]) for name in HELD)
    assert len(asks["outputs"]) == len(set(asks["outputs"])) == len(NAMES)
