"""Steps, guidance, sampler and spacing: as they are typed, and as they stand on the page."""

from typing import Any

import gradio as gr
import pytest

from sfumato.errors import RecipeError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.sampling_fields import FORM, build, read, written
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_settings

OWN = find_model(BUNDLED, tiny_settings()).defaults
NOTHING = dict.fromkeys(FORM)
SOME = {
    "steps": 9,
    "guidance": 4.5,
    "guidance_start": 0.1,
    "guidance_stop": 0.8,
    "sampler": "heun",
    "spacing": "karras",
}


def test_as_they_open_they_ask_for_nothing() -> None:
    with gr.Blocks(analytics_enabled=False):
        parts = build(words_of(Look()), OWN)
    assert tuple(parts) == FORM
    assert read({name: part.value for name, part in parts.items()}) == NOTHING
    assert parts["steps"].placeholder == f"automatic, e.g. {OWN.steps}"


@pytest.mark.parametrize("asked", [NOTHING, SOME, {**SOME, "guidance_start": 0.0}])
def test_what_is_asked_for_comes_back(asked: dict[str, Any]) -> None:
    assert read(written(asked, OWN)) == asked


def test_a_sampler_that_the_model_does_not_know_is_left_to_it() -> None:
    shown = written({**SOME, "sampler": "<img>", "spacing": "mine"}, OWN)
    assert (shown["sampler"], shown["spacing"]) == ("", "")


@pytest.mark.parametrize(("field", "value"), [("steps", "9.5"), ("guidance", "nan")])
def test_what_is_no_number_is_named(field: str, value: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read({**written(SOME, OWN), field: value})
    assert caught.value.field == field
