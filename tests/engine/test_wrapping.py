"""Latents that go on around their sides: shapes, and that there is no border left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recording import Recorder
from sfumato.engine.conditions import compile_plan
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.engine.steering import ControlSteering
from sfumato.engine.wrapping import around, continued, larger, margin_of, within, within_picture
from sfumato.models.backends.base import Work
from sfumato.models.load import load_bundle
from sfumato.recipe.extras import Axes, ExtrasPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings
from tiny_models import tiny_bundle


def normal(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("axes", "size", "margin"),
    [
        ("both", (16, 16), (2, 2)),
        ("x", (16, 64), (0, 8)),
        ("y", (96, 64), (12, 0)),
        ("both", (8, 20), (2, 2)),
        ("both", (1, 1), (1, 1)),
    ],
)
def test_an_eighth_of_the_side(axes: Axes, size: tuple[int, int], margin: tuple[int, int]) -> None:
    assert margin_of(axes, *size) == margin


def test_around_goes_on_with_the_other_side() -> None:
    x = normal(2, 3, 6, 5)
    made = around(x, (2, 1))
    np.testing.assert_array_equal(made, np.pad(x, ((0, 0), (0, 0), (2, 2), (1, 1)), mode="wrap"))
    np.testing.assert_array_equal(within(made, (2, 1)), x)
    np.testing.assert_array_equal(around(torch.tensor(x), (2, 1)).numpy(), made)
    assert around(x, (0, 0)) is x
    assert made.shape[2:] == larger((6, 5), (2, 1))
    picture = np.arange(10 * 8 * 3, dtype=np.uint8).reshape(10, 8, 3)
    np.testing.assert_array_equal(within_picture(picture, (1, 0), 2), picture[2:-2])


def test_arrays_are_continued_with_the_latents() -> None:
    recipe = Recipe(seed=0, parts=(ExtrasPart(tiling="x"),))
    plan = replace(compile_plan(resolve(recipe, tiny_bundle().defaults)), channels=normal(1, 5, 8, 8))
    network: Any = None  # is not asked
    steering = (ControlSteering(network, normal(1, 3, 64, 64), 1.0, frozenset({0})),)
    plan, steering, seen, tile = continued(plan, steering, (8, 8), None, 8)
    assert (seen, tile) == ((8, 12), (8, 16))
    assert plan.channels is not None
    assert plan.channels.shape == (1, 5, 8, 12)
    assert steering[0].hint.shape == (1, 3, 64, 96)


def step_over(pixels: Any, axis: int) -> float:
    """Return how much larger the step over the wrapped border is than the four beside it."""
    apart = np.abs(pixels.astype(float) - np.roll(pixels.astype(float), 1, axis=axis))
    steps = apart.mean(axis=tuple(one for one in range(3) if one != axis))
    return float(steps[0] - steps[[-2, -1, 1, 2]].mean())


def test_the_sides_fit(tmp_path: Path) -> None:
    """With the bundled model: random weights draw noise, in which no border can be seen."""
    bundle = load_bundle("bundled", Settings(data_dir=tmp_path))
    text = TextPart(prompt="a rose in a meadow")

    def drawn(*parts: Any) -> Any:
        events = draw(resolve(Recipe(seed=4, steps=4, parts=(text, *parts)), bundle.defaults), bundle)
        (picture,) = [event.pixels for event in events if isinstance(event, Picture)]
        assert picture.shape == (128, 128, 3)
        return picture

    plain, both, across = drawn(), drawn(ExtrasPart(tiling="both")), drawn(ExtrasPart(tiling="x"))
    assert step_over(plain, 0) > 30  # the sky on the meadow
    assert step_over(across, 0) > 30
    assert step_over(both, 0) < 10
    assert abs(step_over(both, 1)) < 1
    assert abs(step_over(across, 1)) < 1


def test_the_network_is_made_ready_for_what_it_sees() -> None:
    works: list[Work] = []

    class Preparing(Recorder):
        def prepare(self, work: Work) -> None:
            works.append(work)

    bundle = replace(tiny_bundle(), backend=Preparing(tiny_bundle().backend))
    recipe = Recipe(seed=3, steps=1, parts=(TextPart(prompt="a frog"), ExtrasPart(tiling="both", pag=1.0)))
    list(draw(resolve(recipe, bundle.defaults), bundle))
    (work,) = works
    assert (work.rows, work.perturbed, work.height, work.width, work.tile) == (2, 1, 12, 12, (16, 16))
