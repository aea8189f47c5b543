"""A refiner resolved: what each of two models is told, and what a refiner cannot do."""

from dataclasses import replace
from typing import Any

import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.micro import MicroPart, Told
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import ExtendPart, ImagePart, Part, TextPart
from sfumato.recipe.refining import RefinePart
from sfumato.recipe.resolve import resolve

from .strategies import DEFAULTS, SOURCES

FROG = TextPart(prompt="a frog")
PART = RefinePart(model="over/there")
PLAIN, SIZES, SCORES = Told(), Told(sizes=True), Told(sizes=True, score=True)
SCORED = MicroPart(score=6.0, negative_score=2.5)
OTHER = replace(DEFAULTS, name="refiner", digest="ab" * 32)


def resolved(
    *parts: Part, base: Told = PLAIN, refiner: Told = PLAIN, part: RefinePart = PART, **of_refiner: Any
) -> Resolved:
    recipe = Recipe(seed=7, parts=(FROG, *parts, part))
    return again(recipe, base, refiner, **of_refiner)


def again(recipe: Recipe, base: Told, refiner: Told, **of_refiner: Any) -> Resolved:
    own: ModelDefaults = replace(DEFAULTS, told=base)
    return resolve(recipe, own, sources=SOURCES, refiner=replace(OTHER, told=refiner, **of_refiner))


def test_it_is_pinned_and_named_as_it_calls_itself() -> None:
    refine = resolved().refine
    assert refine is not None
    assert (refine.model, refine.digest, refine.start, refine.micro) == ("refiner", "ab" * 32, 0.8, None)


@pytest.mark.parametrize(
    ("told", "base", "refiner", "own", "its"),
    [
        (None, SIZES, SCORES, MicroPart(), SCORED),
        (None, SIZES, SIZES, MicroPart(), MicroPart()),
        (None, PLAIN, SCORES, None, SCORED),
        (None, SCORES, SIZES, SCORED, MicroPart()),
        (None, SIZES, PLAIN, MicroPart(), None),
        (
            MicroPart(original=(96, 64), target=(48, 80), score=9.0),
            SIZES,
            SCORES,
            MicroPart(original=(96, 64), target=(48, 80)),
            MicroPart(original=(96, 64), score=9.0, negative_score=2.5),
        ),
        (
            MicroPart(crop=(0, 8), negative_target=(48, 80), negative_score=1.0),
            SCORES,
            SIZES,
            MicroPart(crop=(0, 8), score=6.0, negative_score=1.0),
            MicroPart(crop=(0, 8), negative_target=(48, 80)),
        ),
        (MicroPart(crop=(0, 8)), SIZES, PLAIN, MicroPart(crop=(0, 8)), None),
    ],
)
def test_each_model_is_told_what_it_knows(
    told: MicroPart | None, base: Told, refiner: Told, own: MicroPart | None, its: MicroPart | None
) -> None:
    run = resolved(*([] if told is None else [told]), base=base, refiner=refiner)
    assert run.micro == own
    assert run.refine is not None
    assert run.refine.micro == its
    asked = recipe_of(single(run))
    assert asked.refine == RefinePart(model="refiner", digest="ab" * 32)
    assert again(asked, base, refiner) == run


@pytest.mark.parametrize(
    ("part", "base", "refiner", "line"),
    [
        (MicroPart(score=9.0), SIZES, SIZES, "score: the model bundled is told no score"),
        (MicroPart(target=(8, 8)), SCORES, SCORES, "target: the model bundled is told a score"),
        (MicroPart(crop=(8, 8)), PLAIN, PLAIN, "crop: the model bundled is told no sizes"),
    ],
)
def test_what_neither_is_told_is_refused(part: MicroPart, base: Told, refiner: Told, line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolved(part, base=base, refiner=refiner)
    assert str(caught.value).startswith(line)


def test_other_weights_of_the_same_name_are_refused() -> None:
    assert resolved(part=PART.model_copy(update={"digest": "ab" * 4})).refine is not None
    with pytest.raises(RecipeError, match="refiner: has other weights than the refiner that is asked for"):
        resolved(part=PART.model_copy(update={"digest": "cd" * 4}))


def test_one_that_was_not_looked_for_is_refused() -> None:
    with pytest.raises(RecipeError, match="refiner: this refiner was not found"):
        resolve(Recipe(parts=(FROG, PART)), DEFAULTS)


def test_a_refiner_is_asked_for_nothing_that_it_lacks() -> None:
    assert resolved(ExtrasPart(clip_skip=12)).extras is not None
    with pytest.raises(RecipeError, match="the text encoder of refiner has 4 layers"):
        resolved(ExtrasPart(clip_skip=5), text_layers=4)
    with pytest.raises(RecipeError, match="the middle of the UNet of refiner has no self-attention"):
        resolved(ExtrasPart(pag=2.0), middle_attends=False)
    recipe = Recipe(parts=(TextPart(prompt="a frog", guidance_stop=0.5), PART))
    assert again(recipe, PLAIN, PLAIN).refine is not None
    with pytest.raises(RecipeError, match="the model refiner is told the guidance once"):
        again(recipe, PLAIN, Told(guidance=True))


def test_an_extension_is_drawn_at_once() -> None:
    image = ImagePart(source="cat.png", strength=1.0)
    run = resolved(image, ExtendPart(right=400))
    assert run.extend is not None
    assert run.extend.reach == 0
    with pytest.raises(RecipeError, match="outpaint-step: is not possible with a refiner"):
        resolved(image, ExtendPart(right=400, reach=64))
