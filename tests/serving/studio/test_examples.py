"""Prompts to begin with: a click draws them, and a random one is a sentence of the model's world."""

from typing import Any

import gradio as gr
import pytest
from pydantic import ValidationError

from sfumato.scenes.vocabulary import OBJECTS
from sfumato.serving.studio.examples import MOST_CALLED, PROMPTS, build, random_prompt
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import handler


def built(look: Look) -> tuple[gr.Blocks, dict[str, Any]]:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = build(gr.Textbox(), words_of(look), look)
    return page, parts


def test_a_click_fills_in_what_stands_on_the_chip() -> None:
    page, parts = built(Look())
    assert [one.value for one in parts["examples"]] == [*PROMPTS]
    assert [handler(page, one)() for one in parts["examples"]] == [*PROMPTS]
    assert len(parts["taken"]) == len(PROMPTS) + 1  # and what is drawn of them


def test_looks_bring_their_own() -> None:
    long = "a castle " * 20
    page, parts = built(Look(examples=("a frog", long)))
    frog, castle = parts["examples"]
    assert handler(page, frog)() == "a frog"
    assert handler(page, castle)() == long
    assert len(castle.value) == MOST_CALLED
    with pytest.raises(ValidationError):
        Look(examples=("a frog",) * 13)


def test_surprises_are_sentences_of_the_models_world() -> None:
    page, parts = built(Look())
    surprise = handler(page, parts["surprise"])
    assert surprise is random_prompt
    told = {surprise() for _ in range(40)}
    assert len(told) > 30
    names = {name for one in OBJECTS for name in (one.name, *one.synonyms)}
    stems = {name.removesuffix("s").removesuffix("y")[:4] for name in names} | {"mice"}
    assert all(any(stem in one for stem in stems) for one in told)
