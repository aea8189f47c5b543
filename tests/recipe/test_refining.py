"""A refiner as a part of a recipe, and in A1111's text."""

from typing import Any

import pytest
from pydantic import ValidationError

from sfumato.errors import RecipeError
from sfumato.recipe.codec import digest, from_json, from_toml, to_json, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.refining import USUAL_START, RefinePart, ResolvedRefine, from_pairs, to_pairs
from sfumato.recipe.resolve import recipe_from_mapping, resolve

from .strategies import DEFAULTS

FROG = TextPart(prompt="a frog")
DIGEST = "ab" * 32


def run(name: str = "xl-refiner", start: float = 0.75) -> Resolved:
    from dataclasses import replace

    recipe = Recipe(seed=7, parts=(FROG, RefinePart(model=name, start=start)))
    return resolve(recipe, DEFAULTS, refiner=replace(DEFAULTS, name=name, digest=DIGEST))


def test_the_last_fifth_is_usual() -> None:
    assert RefinePart(model="xl-refiner").start == USUAL_START == 0.8


@pytest.mark.parametrize("start", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_both_models_have_a_share(start: float) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from_mapping({"parts": [{"kind": "refine", "model": "x", "start": start}]})
    assert caught.value.field == "refine.start"
    assert caught.value.hint == "Give above 0 and below 1, a share of the noise levels."


def test_a_refiner_ends_one_drawing() -> None:
    refine = {"kind": "refine", "model": "x"}
    for other in ({"kind": "hires", "scale": 2.0}, LowResPart(source="small.png").model_dump()):
        with pytest.raises(RecipeError, match="enlarge the picture afterwards"):
            recipe_from_mapping({"parts": [refine, other]})
    with pytest.raises(ValidationError, match="only one part of kind refine"):
        Recipe(parts=(RefinePart(model="x"), RefinePart(model="y")))


def test_files_hold_it() -> None:
    resolved = run()
    assert resolved.refine == ResolvedRefine(model="xl-refiner", digest=DIGEST, start=0.75)
    assert from_json(to_json(resolved), Resolved) == resolved
    recipe = Recipe(parts=(FROG, RefinePart(model="xl-refiner", digest="ab" * 4)))
    assert from_toml(to_toml(recipe), Recipe) == recipe
    text = '[[parts]]\nkind = "refine"\nmodel = "xl-refiner"\nstart = 0.75\n'
    assert from_toml(text, Recipe).refine == RefinePart(model="xl-refiner", start=0.75)


def test_recipes_without_one_keep_their_digest() -> None:
    plain = resolve(Recipe(seed=7, parts=(FROG,)), DEFAULTS)
    assert "refine" not in to_json(plain)
    assert digest(run()) != digest(plain)
    assert digest(run(start=0.7)) != digest(run())


def test_what_it_is_told_is_written_when_it_is_told_something() -> None:
    one = ResolvedRefine(model="x", digest=DIGEST, start=0.8)
    assert "micro" not in one.model_dump()
    told = one.model_copy(update={"micro": MicroPart(score=6.0, negative_score=2.5)})
    assert ResolvedRefine.model_validate(told.model_dump()) == told


# A1111's text


@pytest.mark.parametrize("name", ["xl-refiner", "a, b: c", "odd [0123456789]", ' "quoted" ', "modèle 🦊"])
def test_our_text_comes_back(name: str) -> None:
    text = to_parameters(run(name, 0.123))
    assert "Refiner switch at: 0.123" in text
    assert DIGEST[:10] in text
    assert parse_parameters(text).refine == RefinePart(model=name.strip(), start=0.123)


@pytest.mark.parametrize(
    ("written", "part"),
    [
        (
            "Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8",
            RefinePart(model="sd_xl_refiner_1.0", start=0.8),
        ),
        ("Refiner: sd_xl_refiner_1.0", RefinePart(model="sd_xl_refiner_1.0")),
        ("Refiner: None, Refiner switch at: 0.8", None),
        ("Refiner switch at: 0.8", None),
        ("Refiner: x [7440042bbd], Refiner switch at: 1", None),
        ("Refiner: x [7440042bbd], Refiner switch at: 0.0", None),
    ],
)
def test_what_other_programs_write_is_read(written: str, part: Part | None) -> None:
    text = f"a frog\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x64, {written}, Version: v1.8.0"
    assert parse_parameters(text).refine == part


@pytest.mark.parametrize("written", ["soon", "", "nan"])
def test_a_share_that_is_no_number_is_named(written: str) -> None:
    pairs: dict[str, Any] = {"Refiner": "x", "Refiner switch at": written}
    with pytest.raises(RecipeError, match="Refiner switch at: must be a number"):
        from_pairs(pairs)


def test_nothing_is_said_without_one() -> None:
    assert to_pairs(None) == {}
    assert from_pairs({}) == []
