"""Passes, sizes and windows, with nothing left open."""

from dataclasses import replace
from typing import Any

import pytest

from recipe.strategies import DEFAULTS
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.hires import HiresPart, ResolvedHires, ResolvedWindows, WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import Part
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolve_hires import FURTHER, KEEP, METHOD, OVERLAP, STRENGTH
from sfumato.settings import Settings


def resolved(*parts: Part, settings: Settings | None = None, **fields: Any) -> Resolved:
    return resolve(Recipe(seed=1, parts=parts, **fields), DEFAULTS, settings=settings)


def hires(part: HiresPart, *parts: Part, **fields: Any) -> ResolvedHires:
    found = resolved(part, *parts, **fields).hires
    assert found is not None
    return found


def complaint(*parts: Part, **fields: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        resolved(*parts, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_left_open() -> None:
    made = hires(HiresPart(scale=2.0))
    assert made.sizes == ((256, 256),)
    assert (made.strength, made.method, made.keep) == (STRENGTH, METHOD, KEEP)
    assert (made.steps, made.window, made.overlap) == (20, 128, OVERLAP)
    further = hires(HiresPart(scale=4.0), steps=30)
    assert further.sizes == ((256, 256), (512, 512))
    assert (further.strength, further.steps) == (FURTHER, 30)


def test_what_is_asked_for() -> None:
    part = HiresPart(
        scale=3.0, strength=0.5, method="latent", steps=9, passes=1, keep=0.25, window=260, overlap=0.1
    )
    made = hires(part, width=64, height=128)
    assert made.sizes == ((192, 384),)
    assert (made.strength, made.method, made.keep) == (0.5, "latent", 0.25)
    assert (made.steps, made.window, made.overlap) == (9, 264, 0.1)


@pytest.mark.parametrize(
    ("scale", "passes", "sizes"),
    [
        (16.0, None, ((256, 256), (512, 512), (1024, 1024), (2048, 2048))),
        (3.0, 2, ((224, 224), (384, 384))),
        (1.07, 1, ((136, 136),)),
    ],
)
def test_sizes_are_multiples(scale: float, passes: int | None, sizes: object) -> None:
    assert hires(HiresPart(scale=scale, passes=passes)).sizes == sizes


def test_windows_of_the_recipe_are_those_of_its_passes() -> None:
    made = hires(HiresPart(scale=2.0), WindowsPart(size=96, overlap=0.25))
    assert (made.window, made.overlap) == (96, 0.25)
    own = hires(HiresPart(scale=2.0, window=64, overlap=0.0), WindowsPart(size=96, overlap=0.25))
    assert (own.window, own.overlap) == (64, 0.0)
    assert resolved(WindowsPart()).windows == ResolvedWindows(size=128, overlap=OVERLAP)


def test_in_windows_a_drawing_may_be_larger_than_the_model_allows() -> None:
    assert "between 64 and 1024" in complaint(width=2048, height=2048)
    large = resolved(WindowsPart(), width=2048, height=2047)
    assert (large.width, large.height) == (2048, 2048)
    assert "between 64 and 16384" in complaint(WindowsPart(), width=32)


def test_a_scale_that_adds_nothing_or_too_much() -> None:
    assert "adds nothing" in complaint(HiresPart(scale=1.01))
    assert "more than" in complaint(HiresPart(scale=16.0), width=512, height=512, settings=SMALL)
    assert "16384" in complaint(HiresPart(scale=16.0), WindowsPart(), width=2048, height=64)


def test_windows_smaller_than_the_model_can_draw() -> None:
    assert complaint(WindowsPart(size=32)).startswith("windows: must be at least 64")
    assert complaint(HiresPart(scale=2.0, window=8)).startswith("windows: must be at least 64")


@pytest.mark.parametrize(
    "parts",
    [
        (HiresPart(scale=2.7),),
        (HiresPart(scale=2.0), WindowsPart(size=96)),
        (WindowsPart(overlap=0.25),),
        (HiresPart(scale=1.3, strength=0.0, method="lanczos", steps=3, passes=2, keep=0.5),),
    ],
)
def test_asking_again_gives_the_same(parts: tuple[Part, ...]) -> None:
    once = resolved(*parts, width=120, height=200)
    # Other defaults of another version or model change nothing about a finished recipe.
    other = replace(DEFAULTS, width=256, height=256, steps=7)
    assert resolve(recipe_of(once), other) == once


SMALL = replace(Settings.from_environment({"HOME": "/nowhere"}), max_pixels=4_000_000)
