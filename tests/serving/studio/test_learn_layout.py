"""What stands on the tab Learn before anything is drawn, with and without what can be installed."""

import sys
from html import escape
from typing import Any

import gradio as gr
import pytest

from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.serving.studio.learn_forms import EXAMPLES
from sfumato.serving.studio.learn_layout import begun_after, lay_out
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_bundle

WORDS = words_of(Look())


def made() -> tuple[dict[str, Any], str]:
    """Return the parts, and all that is written on the tab."""
    own: ModelDefaults = tiny_bundle().defaults
    with gr.Blocks(analytics_enabled=False) as page:
        parts = lay_out(own, WORDS, Look(prompt="a rabbit"))
    said = [str(one.value) for one in page.blocks.values() if isinstance(one, gr.Markdown | gr.HTML)]
    return parts, "\n".join(said)


def test_it_begins_with_what_the_model_likes() -> None:
    parts, said = made()
    own = tiny_bundle().defaults
    assert parts["prompt"].value == "a rabbit"
    assert (parts["steps"].value, parts["guidance"].value) == (own.steps, own.guidance)
    assert [one.value for one in parts["examples"]] == [*EXAMPLES]
    assert WORDS("learn_nothing") in said
    assert parts["begin_step"].value == begun_after(own.steps) <= parts["begin_step"].maximum
    assert not parts["file"].visible  # until there is one


def test_nothing_is_said_of_what_is_there() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("av")
    parts, said = made()
    assert "pip install" not in said
    assert [one for _, one in parts["format"].choices] == ["WebP", "GIF", "MP4"]


@pytest.mark.parametrize("module", ["torch", "diffusers"])
def test_heat_maps_name_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    assert 'pip install "sfumato[torch]"' in made()[1]


def test_mp4_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    parts, said = made()
    assert [one for _, one in parts["format"].choices] == ["WebP", "GIF"]
    assert escape(WORDS("film_no_video")) in said


def test_where_image_to_image_begins() -> None:
    assert [begun_after(steps) for steps in (1, 2, 20, 60)] == [0, 1, 8, 24]
