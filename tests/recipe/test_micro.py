"""What models like Stable Diffusion XL are told of a picture, as a part of a recipe."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from recipe.strategies import DEFAULTS
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import from_json, from_toml, to_json, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.micro import MicroPart, Told
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve

SIZES, SCORES = Told(sizes=True), Told(sizes=True, score=True)
FROG = TextPart(prompt="a frog")
EVERYTHING = MicroPart(
    original=(96, 64),
    crop=(8, 16),
    target=(48, 80),
    negative_original=(32, 16),
    negative_crop=(4, 2),
    negative_target=(24, 40),
)


def resolved(*parts: Any, told: Told = SIZES, **fields: Any) -> Resolved:
    return resolve(Recipe(seed=7, parts=(FROG, *parts), **fields), replace(DEFAULTS, told=told))


def test_height_comes_before_width_and_top_before_left() -> None:
    plus, minus = EVERYTHING.ids(128, 256)
    assert plus == (64, 96, 16, 8, 80, 48)
    assert minus == (16, 32, 2, 4, 40, 24)


def test_what_is_open_is_the_drawing_and_what_guidance_leaves_is_the_same() -> None:
    assert MicroPart().ids(128, 256) == ((256, 128, 0, 0, 256, 128),) * 2
    assert MicroPart(original=(96, 64)).ids(8, 8) == ((64, 96, 0, 0, 8, 8),) * 2


def test_models_that_are_told_sizes_always_have_the_part() -> None:
    assert resolved().micro == MicroPart()
    assert resolved(EVERYTHING).micro == EVERYTHING
    assert resolved(told=Told()).micro is None
    assert resolved(MicroPart(), told=Told()).micro is None


def test_a_score_stands_in_the_place_of_the_target() -> None:
    part = resolved(MicroPart(score=7.5), told=SCORES).micro
    assert part is not None
    assert part == MicroPart(score=7.5, negative_score=2.5)
    assert part.ids(8, 16) == ((16, 8, 0, 0, 7.5), (16, 8, 0, 0, 2.5))
    assert resolved(told=SCORES).micro == MicroPart(score=6.0, negative_score=2.5)


@pytest.mark.parametrize(
    ("part", "told", "said"),
    [
        (MicroPart(crop=(0, 1)), Told(), r"^crop: the model bundled is told no sizes"),
        (MicroPart(score=5.0), SIZES, r"^score: the model bundled is told no score"),
        (MicroPart(negative_score=5.0), SIZES, r"^score: the model bundled is told no score"),
        (MicroPart(target=(8, 8)), SCORES, r"^target: .* is told a score and no target size"),
    ],
)
def test_what_a_model_is_not_told_is_refused(part: MicroPart, told: Told, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        resolved(part, told=told)


@pytest.mark.parametrize(
    "fields",
    [{"original": (0, 8)}, {"crop": (-1, 0)}, {"target": (8,)}, {"score": 11.0}, {"score": "6"}, {"size": 3}],
)
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MicroPart(**fields)


def test_it_comes_back_from_files_and_can_be_drawn_again() -> None:
    run = resolved(EVERYTHING, told=SIZES)
    assert from_json(to_json(run), Resolved) == run
    assert from_toml(to_toml(recipe_of(run)), Recipe) == recipe_of(run)
    assert resolve(recipe_of(run), replace(DEFAULTS, told=SIZES)) == run


def test_the_guidance_is_told_once_or_not_at_all() -> None:
    told = Told(guidance=True)
    assert resolved(told=told).embedded
    assert not resolved().embedded
    assert "embedded" not in resolved().model_dump()
    with pytest.raises(RecipeError, match="is told the guidance once"):
        resolve(
            Recipe(seed=7, parts=(TextPart(prompt="a frog", guidance_start=0.5),)),
            replace(DEFAULTS, told=told),
        )


def test_a_fast_recipe_keeps_the_guidance_of_a_model_that_is_told_it() -> None:
    run = resolved(told=Told(guidance=True), fast=True)
    assert run.text is not None
    assert (run.text.guidance_start, run.text.guidance_stop) == (0.0, 1.0)
