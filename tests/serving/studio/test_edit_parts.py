"""The groups of fields on the tab Edit."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from sfumato.imaging.annotators import ANNOTATORS
from sfumato.serving.desk import Desk
from sfumato.serving.studio import edit_parts, film_row
from sfumato.serving.studio.edit_forms import SIZED, TASKS
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import open_tiny_desk


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk, gr.Blocks(analytics_enabled=False):
        yield built(desk)


def built(desk: Desk) -> dict[str, Any]:
    words = words_of(Look())
    return edit_parts.build(desk, words) | film_row.button(words) | film_row.fields(words)


def test_every_group_belongs_to_a_task(parts: dict[str, Any]) -> None:
    assert {name for names in edit_parts.SHOWN.values() for name in names} == set(edit_parts.GROUPS)
    assert set(edit_parts.SHOWN) == set(TASKS)
    assert {task for task, names in edit_parts.SHOWN.items() if "of_size" in names} == SIZED
    assert set(edit_parts.GROUPS) <= set(parts)


def test_every_annotator_and_control_can_be_chosen(parts: dict[str, Any]) -> None:
    values = [value for _, value in parts["annotator"].choices]
    assert values == ["", *ANNOTATORS, "none"]
    assert "edges" in [value for _, value in parts["control"].choices]


def test_the_frame_and_the_numbers_begin_alike(parts: dict[str, Any]) -> None:
    for side in ("left", "right", "top", "bottom"):
        assert parts[side].value == parts["frame"].value[side]


def test_strengths_say_what_they_are(parts: dict[str, Any]) -> None:
    for name in ("strength", "weight", "feather", "share"):
        assert parts[name].info
