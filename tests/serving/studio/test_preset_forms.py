"""Presets of the tab Create: what choosing one makes of the form."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import NotFoundError, RecipeError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.recipe.resolve import resolve
from sfumato.serving.presets import Presets
from sfumato.serving.store import Store
from sfumato.serving.studio.finer_forms import Finer
from sfumato.serving.studio.forms import Create, recipe_of_create
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.preset_forms import (
    BUILT_IN,
    OURS,
    OWN,
    applied,
    choices_of,
    form_from,
    own_name,
    text_of,
)
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_settings

WORDS = words_of(Look())
FULL = Create(
    prompt="a frög",
    negative="snow",
    model="tiny",
    size=(96, 72),
    count=3,
    seed=2**70,
    steps=9,
    guidance=4.5,
    guidance_start=0.1,
    guidance_stop=0.8,
    sampler="heun",
    spacing="karras",
    style="watercolour",
    loras="<lora:some:0.5>",
    finer=Finer(apg=(0.0, 0.06), original=(1024, 768), zero_snr=False, windows=True, refiner="tiny"),
)
#: As forms were kept before there were finer points.
BEFORE = """{"prompt": "a frög", "negative": "", "model": "bundled", "size": [160, 104], "count": 2,
"seed": null, "steps": 9, "guidance": 4.5, "guidance_start": null, "guidance_stop": null, "sampler": "heun",
"spacing": null, "fast": false, "style": "as it is", "loras": ""}"""


@pytest.fixture
def presets(tmp_path: Path) -> Iterator[Presets]:
    store = Store(tmp_path / "studio.db")
    yield Presets(store)
    store.close()


@pytest.mark.parametrize("form", [Create(), FULL])
def test_forms_come_back_from_their_text(form: Create) -> None:
    assert form_from(text_of(form)) == form


def test_forms_that_were_kept_before_there_were_finer_points_are_read() -> None:
    assert form_from(BEFORE) == Create(
        "a frög", size=(160, 104), count=2, steps=9, guidance=4.5, sampler="heun"
    )


def test_half_a_character_is_none() -> None:
    assert form_from(text_of(Create(prompt="a\ud83d cat"))).prompt == "a? cat"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": "many"}', '{"size": [1, 2, 3]}'])
def test_what_another_version_kept_is_said_kindly(text: str) -> None:
    with pytest.raises(RecipeError, match="cannot be read any more"):
        form_from(text)


def test_ones_own_stand_before_those_that_come_along(presets: Presets) -> None:
    presets.keep("<b>foxes</b>", text_of(FULL), "me")
    choices = choices_of(presets, "me", WORDS)
    assert choices[0][1] == ""
    assert choices[1] == ("★ <b>foxes</b>", OWN + "<b>foxes</b>")  # as text: a list escapes what it shows
    assert [value for _, value in choices[2:]] == [OURS + name for name in BUILT_IN]
    assert len(choices_of(presets, "other", WORDS)) == len(BUILT_IN) + 1


def test_what_was_kept_stands_as_it_was(presets: Presets) -> None:
    presets.keep("foxes", text_of(FULL), "me")
    assert applied(OWN + "foxes", Create(prompt="else", steps=3), presets, "me") == FULL
    with pytest.raises(NotFoundError):
        applied(OWN + "foxes", Create(), presets, "other")


def test_one_without_a_prompt_leaves_the_one_that_is_there(presets: Presets) -> None:
    presets.keep("settings", text_of(replace(FULL, prompt="")), "me")
    assert applied(OWN + "settings", Create(prompt="a cat"), presets, "me") == replace(FULL, prompt="a cat")


@pytest.mark.parametrize("name", BUILT_IN)
def test_those_that_come_along_leave_the_words_and_draw_with_the_bundled_model(
    name: str, presets: Presets
) -> None:
    form = applied(OURS + name, Create(prompt="a cat", steps=3, count=7, sampler="heun"), presets, "me")
    assert form.prompt == "a cat"
    assert form.sampler is None
    assert form.count == BUILT_IN[name].get("count", 1)
    resolved = resolve(recipe_of_create(form), find_model(BUNDLED, tiny_settings()).defaults)
    assert resolved.steps == BUILT_IN[name].get("steps", 20)


def test_what_is_none_of_them_is_refused(presets: Presets) -> None:
    for chosen in ("ours/nothing", "own/nothing", "else"):
        with pytest.raises(NotFoundError):
            applied(chosen, Create(), presets, "me")


def test_only_ones_own_have_a_name_to_delete() -> None:
    assert own_name(OWN + "ours/sketch") == "ours/sketch"
    assert own_name(OURS + "sketch") is None
    assert own_name("") is None
