"""The tab Create: what stands on the page is a form, and a form stands on the page."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from sfumato.errors import RecipeError
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.studio import create, finer
from sfumato.serving.studio.create import FORM, build, filled, form_of
from sfumato.serving.studio.finer_forms import Finer
from sfumato.serving.studio.forms import Create, recipe_of_create
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, handler, open_tiny_desk, sent


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


@pytest.fixture(scope="module")
def tab(desk: Desk) -> tuple[gr.Blocks, create.Parts]:
    with gr.Blocks(analytics_enabled=False) as page:
        parts = build(desk, words_of(Look()), Look(prompt="a cat"))
    return page, parts


def standing(form: Create, desk: Desk) -> dict[str, Any]:
    """Return what handlers are given when `form` stands on the page."""
    return {name: sent(value) for name, value in zip(FORM, filled(form, desk), strict=True)}


def test_as_it_opens_everything_is_left_to_the_model(desk: Desk, tab: tuple[Any, create.Parts]) -> None:
    values = {name: tab[1][name].value for name in FORM}
    assert form_of(values, desk) == Create(prompt="a cat")
    assert recipe_of_create(form_of(values, desk)) == recipe_of_create(Create(prompt="a cat"))


FULL = Create(
    prompt="a frog",
    negative="snow",
    model="tiny",
    size=(64, 64),
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
    finer=Finer(rescale=0.5, refiner="tiny", refine_from=0.7, hires=2.0, clip_skip=2, fast=True),
)


@pytest.mark.parametrize(
    "form",
    [
        FULL,
        replace(FULL, finer=Finer()),
        Create(),
        replace(FULL, size=(96, 72)),
        replace(FULL, model="bundled"),
    ],
)
def test_forms_that_are_filled_in_come_back(desk: Desk, form: Create) -> None:
    back = form_of(standing(form, desk), desk)
    # The model's own size is left to the model.
    assert back == (replace(form, size=None) if (form.model, form.size) == ("tiny", (64, 64)) else form)


def test_a_size_that_is_no_chip_becomes_one(desk: Desk) -> None:
    size = dict(zip(FORM, filled(replace(FULL, size=(96, 72)), desk), strict=True))["size"]
    assert size.value == "96 x 72"
    assert ("96 x 72", "96 x 72") in size.choices


def test_a_model_that_is_not_here_gives_way_to_the_bundled_one(desk: Desk) -> None:
    assert standing(replace(FULL, model="/etc/passwd"), desk)["model"] == "bundled"


def test_samplers_that_are_not_known_are_left_to_the_model(desk: Desk) -> None:
    values = standing(replace(FULL, sampler="<img src=x>", spacing="mine"), desk)
    assert (values["sampler"], values["spacing"]) == ("", "")


def test_another_model_brings_its_shapes(desk: Desk, tab: tuple[gr.Blocks, create.Parts]) -> None:
    page, parts = tab
    size, *shown = handler(page, parts["model"], "input")("tiny", "")
    assert len(shown) == len(finer.BOUND)
    assert size.value == "Square 64 x 64"
    assert form_of({**standing(Create(), desk), "model": "tiny", "size": size.value}, desk).size is None


def test_a_model_that_went_away_is_said_kindly(tab: tuple[gr.Blocks, create.Parts]) -> None:
    page, parts = tab
    with pytest.raises(gr.Error, match="unknown model"):
        handler(page, parts["model"], "input")("gone", "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", "seven"),
        ("size", "large"),
        ("steps", "9.5"),
        ("guidance", "nan"),
        ("finer_hires_strength", "1e-3"),
    ],
)
def test_what_is_no_number_is_named(desk: Desk, field: str, value: str) -> None:
    with pytest.raises(RecipeError) as caught:
        form_of({**standing(FULL, desk), field: value}, desk)
    assert caught.value.field == field.removeprefix("finer_").replace("_", "-")


def test_the_dice_give_seeds(tab: tuple[gr.Blocks, create.Parts]) -> None:
    page, parts = tab
    dice = handler(page, parts["dice"])
    seeds = {dice() for _ in range(5)}
    assert len(seeds) == 5
    assert all(one.isdecimal() for one in seeds)


def test_generate_and_enter_draw_the_same(tab: tuple[gr.Blocks, create.Parts]) -> None:
    page, parts = tab
    assert handler(page, parts["generate"]) is handler(page, parts["prompt"], "submit")


@pytest.mark.parametrize("style", ["as it is", "watercolour"])
def test_without_words_nothing_is_drawn(desk: Desk, tab: tuple[Any, create.Parts], style: str) -> None:
    page, parts = tab
    before = desk.queue.of(ALONE)
    values = {**standing(replace(FULL, prompt=" \n", style=style), desk)}
    told = handler(page, parts["generate"])(asked_by(), *(values[name] for name in FORM))
    assert "take an example" in told[parts["area"].notice]
    assert desk.queue.of(ALONE) == before


def test_models_that_can_be_chosen_are_those_that_draw(tab: tuple[Any, create.Parts]) -> None:
    assert [value for _, value in tab[1]["model"].choices] == ["bundled", "tiny"]
