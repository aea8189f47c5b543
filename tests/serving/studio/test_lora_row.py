"""Adapters of the library on the page: shown where there are some, with the words they were trained with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.serving.desk import Desk, open_desk
from sfumato.serving.studio import create
from sfumato.serving.studio.create import build
from sfumato.serving.studio.forms import Create, create_of, recipe_of_create
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.lora_row import about, adapters_of
from sfumato.serving.studio.words import words_of
from tiny_adapters import kohya_lora, write_adapter
from tiny_models import tiny_folder, tiny_settings
from tiny_studio import drawn, handler, open_tiny_desk

WORDS = words_of(Look())
NOTES = {
    "ss_tag_frequency": json.dumps({"1_ink": {"<b>inkstyle</b>": 9, "paper": 3}}),
    "modelspec.license": "CC0",
}


@contextmanager
def with_adapters(home: Path) -> Iterator[Desk]:
    """Open a desk with the tiny model and two adapters, one of which cannot be named in a prompt."""
    models = home / "models"
    write_adapter(models / "loras" / "Ink.safetensors", kohya_lora(seed=1, size=0.2), NOTES)
    write_adapter(models / "loras" / "a:b.safetensors", kohya_lora(seed=2, size=0.2))
    settings = replace(tiny_settings(tiny_folder().parent), data_dir=home / "data")
    with open_desk(replace(settings, model_dirs=(*settings.model_dirs, models))) as desk:
        yield desk


def made(desk: Desk) -> tuple[gr.Blocks, create.Parts]:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = build(desk, WORDS, Look())
    return page, parts


def opened(page: gr.Blocks, parts: create.Parts) -> Any:
    """Return what is called for the row of adapters when Advanced is opened."""
    expands = [one for one in page.fns.values() if any(event == "expand" for _, event in one.targets)]
    (found,) = [one.fn for one in expands if parts["lora_row"] in one.outputs]
    return found


def test_without_adapters_nothing_of_them_is_shown(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        page, parts = made(desk)
        assert not parts["lora_row"].visible
        row, dropdown = opened(page, parts)("")
        assert not row.visible
        assert [value for _, value in dropdown.choices] == [""]


def test_those_of_the_library_are_laid_over_the_model(tmp_path: Path) -> None:
    with with_adapters(tmp_path) as desk:
        page, parts = made(desk)
        row, dropdown = opened(page, parts)("gone")
        assert row.visible
        assert [value for _, value in dropdown.choices] == ["", "Ink"]
        assert dropdown.value == ""
        said = handler(page, parts["lora"], "change")("Ink")
        assert "&lt;b&gt;inkstyle&lt;/b&gt;, paper" in said
        assert "CC0" in said
        assert "<b>" not in said
        assert handler(page, parts["lora"], "change")("") == ""
        lay, weigh = handler(page, parts["lora_add"]), handler(page, parts["lora_weight"], "release")
        written = lay("<lora:other:1>", "Ink", 0.8)
        assert written == "<lora:other:1> <lora:Ink:0.8>"
        assert weigh(written, "Ink", -0.5) == "<lora:other:1> <lora:Ink:-0.5>"
        assert weigh("", "Ink", 0.5) == ""  # it is not laid over the model
        assert lay(written, "", 0.5) == written
        remove = handler(page, parts["lora_remove"])
        assert remove(written, "Ink") == "<lora:other:1>"
        assert remove(written, "") == written


def test_a_picture_is_drawn_with_it_and_says_so(tmp_path: Path) -> None:
    with with_adapters(tmp_path) as desk:
        plain = drawn(desk, recipe_of_create(Create(prompt="a frog", model="tiny", seed=7, steps=2)))
        form = Create(prompt="a frog", model="tiny", seed=7, steps=2, loras="<lora:Ink:0.8>")
        kept = drawn(desk, recipe_of_create(form))
        assert (desk.gallery.pixels(kept) != desk.gallery.pixels(plain)).any()
        resolved = desk.gallery.resolved(kept)
        assert resolved.adapters is not None
        assert [(one.name, one.weight) for one in resolved.adapters.adapters] == [("Ink", 0.8)]


def test_settings_that_are_used_again_have_their_adapters() -> None:
    for loras in ("<lora:Ink:0.8>", "<lora:Ink:0.8:0.5> <lora:other:1>"):
        form = Create(prompt="a frog", loras=loras)
        recipe = recipe_of_create(form)
        assert recipe.text is not None
        assert loras in recipe.text.prompt
    listed = AdaptersPart(
        adapters=(Adapter(name="Ink", weight=0.5, text_weight=0.8), Adapter(name="a:b"), Adapter(name="x"))
    )
    recipe = recipe_of_create(Create(prompt="a frog"))
    recipe = recipe.model_copy(update={"parts": (*recipe.parts, listed)})
    assert create_of(recipe).loras == "<lora:Ink:0.8:0.5> <lora:x:1>"


def test_one_without_words_says_so(tmp_path: Path) -> None:
    write_adapter(tmp_path / "models" / "loras" / "bare.safetensors", kohya_lora(seed=2, size=0.2))
    with with_adapters(tmp_path) as desk:
        bare = next(one for one in adapters_of(desk) if one.name == "bare")
        assert WORDS("lora_no_words") in about(bare, WORDS)
