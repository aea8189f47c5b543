"""Sizes and noise levels of upscaling models."""

from dataclasses import replace
from typing import Any

import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.hires import WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import Part
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolved_parts import ResolvedLowRes, Source
from sfumato.recipe.sources import SourceFacts

MODEL = ModelDefaults(
    name="x4",
    digest="d",
    width=512,
    height=512,
    multiple=4,
    min_size=32,
    max_size=1024,
    steps=20,
    sampler="ddim",
    spacing="trailing",
    guidance=9.0,
    guidance_rescale=0.0,
    samplers=("ddim",),
    spacings=("trailing",),
    upscales=4,
    max_noise_level=350,
)
FACTS = SourceFacts("0" * 64, "a.png", 30, 21, has_alpha=False)


def resolved(*parts: Part, facts: SourceFacts = FACTS, model: ModelDefaults = MODEL, **fields: Any) -> Any:
    recipe = Recipe(parts=parts, seed=1, **fields)
    return resolve(recipe, model, sources={"a.png": facts})


def test_the_picture_decides_the_size() -> None:
    made = resolved(LowResPart(source="a.png"))
    assert (made.width, made.height) == (120, 84)
    assert made.low_res == ResolvedLowRes(source=Source(sha256="0" * 64, name="a.png"), noise_level=20)
    made = resolved(LowResPart(source="a.png", noise_level=350), width=200)
    assert (made.width, made.height, made.low_res.noise_level) == (200, 84, 350)


def test_a_model_that_knows_little_noise_gets_no_more() -> None:
    assert (
        resolved(LowResPart(source="a.png"), model=replace(MODEL, max_noise_level=5)).low_res.noise_level == 5
    )


def test_too_large_and_too_noisy_are_one_line() -> None:
    large = replace(FACTS, width=300, height=200)
    with pytest.raises(RecipeError, match=r"picture: would become 1200x800, .* 1024 .* to 256 pixels a side"):
        resolved(LowResPart(source="a.png"), facts=large)
    assert resolved(LowResPart(source="a.png"), WindowsPart(), facts=large).width == 1200
    with pytest.raises(RecipeError, match="noise-level: must be at most 350"):
        resolved(LowResPart(source="a.png", noise_level=351))


def test_model_and_part_go_together() -> None:
    with pytest.raises(RecipeError, match=r"model: is no upscaler: .* \(got 'x4'\)"):
        resolved(LowResPart(source="a.png"), model=replace(MODEL, upscales=0))
    with pytest.raises(RecipeError, match="model: is an upscaler, and needs a small picture"):
        resolved()
