"""Frames that are dragged: what they begin with, and what their scripts find on the page."""

import re
from typing import Any

import gradio as gr
import pytest

from sfumato.recipe.values import MAX_SIZE
from sfumato.serving.studio import dragging
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of

SIDES = {"left": 32, "right": 32, "top": 0, "bottom": 0}


@pytest.fixture(scope="module")
def frames() -> tuple[gr.HTML, gr.HTML]:
    words = words_of(Look(words={"extend_empty": "`${alert(1)}` {{x}} <b>"}))
    with gr.Blocks(analytics_enabled=False):
        return dragging.extension(words, SIDES, 1_000_000), dragging.boxes(words)


def test_the_frame_begins_with_the_numbers_beside_it_and_the_limits_of_recipes(
    frames: tuple[gr.HTML, gr.HTML],
) -> None:
    value: Any = frames[0].value
    assert {side: value[side] for side in dragging.SIDES} == SIDES
    assert (value["most_side"], value["most_pixels"]) == (MAX_SIZE, 1_000_000)
    assert value["picture"] == ""


def test_every_edge_can_be_reached_and_every_box_has_its_row(frames: tuple[gr.HTML, gr.HTML]) -> None:
    extension, boxes = (frame.html_template for frame in frames)
    sliders = re.findall(
        r'<div class="sf-handle" role="slider" tabindex="0"[^>]*data-sides="(\w+)"', extension
    )
    assert sorted(sliders) == sorted(dragging.SIDES)
    assert extension.count('aria-hidden="true" data-sides') == 4
    assert boxes.count('role="group" tabindex="0"') == boxes.count("<fieldset") == 4
    assert boxes.count('data-field="prompt"') == 4


def test_words_of_looks_are_no_part_of_what_is_run(frames: tuple[gr.HTML, gr.HTML]) -> None:
    for frame in frames:
        # Gradio makes both Handlebars and a JavaScript string of it.
        assert not re.search(r"[`$]|{{", frame.html_template)
        assert "alert" not in frame.html_template + (frame.js_on_load or "")
        assert "props.texts" in (frame.js_on_load or "")


def test_scripts_ask_for_words_that_there_are(frames: tuple[gr.HTML, gr.HTML]) -> None:
    for frame in frames:
        asked = set(re.findall(r"texts\.(\w+)", frame.js_on_load or ""))
        assert asked
        assert asked <= set(frame.props["texts"])


def test_scripts_load_nothing_and_write_no_html(frames: tuple[gr.HTML, gr.HTML]) -> None:
    for frame in frames:
        assert not re.search(r"innerHTML|insertAdjacent|fetch|import|https?:", frame.js_on_load or "")
    assert "url(" not in dragging.style()
    assert "touch-action: none" in dragging.style()


@pytest.mark.parametrize(
    "value", [None, "boxes", [], {}, {"boxes": None}, {"boxes": "ab"}, {"boxes": [1, None, ["a"]]}]
)
def test_what_is_no_box_is_none(value: Any) -> None:
    assert dragging.boxes_of(value) == []


def test_boxes_come_as_they_were_sent() -> None:
    box = {"prompt": "a frog", "left": 0.25}
    assert dragging.boxes_of({"boxes": [box, "x"], "picture": "data:"}) == [box]
