"""Presets on the page: chosen, kept and deleted, by those to whom they belong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.serving.desk import Desk
from sfumato.serving.studio import create
from sfumato.serving.studio.create import FORM, build, filled
from sfumato.serving.studio.forms import Create
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, handler, open_tiny_desk, sent

WORDS = words_of(Look())
ME, OTHER = asked_by("me"), asked_by("other")
Tab = tuple[gr.Blocks, create.Parts]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def tab(desk: Desk) -> Tab:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = build(desk, WORDS, Look())
    return page, parts


def standing(form: Create, desk: Desk) -> list[Any]:
    """Return the values of the page when `form` stands on it."""
    return [sent(one) for one in filled(form, desk)]


def test_a_form_is_kept_chosen_and_deleted(tab: Tab, desk: Desk) -> None:
    page, parts = tab
    keep, choose = handler(page, parts["preset_keep"]), handler(page, parts["preset"], "input")
    assert keep is handler(page, parts["preset_name"], "submit")
    dropdown, emptied, said = keep(ME, " my <b>foxes</b> ", *standing(Create(prompt="a fox", steps=9), desk))
    assert dropdown.value == "own/my <b>foxes</b>"
    assert emptied == ""
    assert "my &lt;b&gt;foxes&lt;/b&gt;" in said
    assert "<b>" not in said
    *values, said = choose(ME, dropdown.value, *standing(Create(), desk))
    form = dict(zip(FORM, values, strict=True))
    assert (form["prompt"], form["steps"], said) == ("a fox", "9", "")
    load = parts["presets"][0]
    assert (parts["kept_presets"]("me"), parts["kept_presets"]("somebody else")) == (True, False)
    assert dropdown.value in [value for _, value in load(ME).choices]
    assert dropdown.value not in [value for _, value in load(OTHER).choices]
    delete = handler(page, parts["preset_delete"])
    assert 'role="alert"' in delete(OTHER, dropdown.value)[1]
    left, said = delete(ME, dropdown.value)
    assert left.value == ""
    assert dropdown.value not in [value for _, value in left.choices]
    assert "&lt;b&gt;" in said


def test_one_that_comes_along_changes_only_what_it_says(tab: Tab, desk: Desk) -> None:
    page, parts = tab
    before = standing(Create(prompt="a fox", negative="snow"), desk)
    *values, said = handler(page, parts["preset"], "input")(ME, "ours/nine", *before)
    form = dict(zip(FORM, values, strict=True))
    assert (form["prompt"], form["negative"], form["count"], form["steps"]) == ("a fox", "snow", 9, "12")
    assert said == ""


def test_what_is_no_number_does_not_stand_in_the_way(tab: Tab, desk: Desk) -> None:
    page, parts = tab
    values = dict(zip(FORM, standing(Create(prompt="a fox"), desk), strict=True))
    values |= {"steps": "many", "seed": "nothing"}
    *filled_in, _ = handler(page, parts["preset"], "input")(ME, "ours/sketch", *values.values())
    assert dict(zip(FORM, filled_in, strict=True))["steps"] == "8"


def test_what_cannot_be_is_said_where_it_was_asked(tab: Tab, desk: Desk) -> None:
    page, parts = tab
    form = standing(Create(), desk)
    *_, said = handler(page, parts["preset_keep"])(ME, "", *form)
    assert 'role="alert"' in said
    *_, said = handler(page, parts["preset"], "input")(ME, "own/nothing", *form)
    assert 'role="alert"' in said
    assert len(handler(page, parts["preset"], "input")(ME, "", *form)) == len(FORM) + 1
    _, said = handler(page, parts["preset_delete"])(ME, "ours/sketch")
    assert WORDS("preset_choose") in said
