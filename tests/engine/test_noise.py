"""The noise of a batch: every picture's own, and that of variations."""

from typing import Any

import numpy as np
import pytest

from sfumato.engine.events import Picture
from sfumato.engine.noise import noise_source, picture_seeds, starting_noise
from sfumato.engine.run import draw
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import Part, TextPart, VariationPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.noise import BrownianNoise, FreshNoise, picture_noise
from sfumato.samplers.solvers import solver_of
from tiny_models import tiny_bundle

FROG = TextPart(prompt="a frog")
SHAPE = (4, 8, 8)


def resolved(*parts: Part, **fields: Any) -> Resolved:
    return resolve(Recipe(parts=(FROG, *parts), seed=7, **fields), tiny_bundle().defaults)


def started(run: Resolved, *batch: int) -> np.ndarray:
    generators = [picture_noise(seed) for seed in picture_seeds(run, batch)]
    return starting_noise(run, batch, generators, SHAPE)


def drawn(run: Resolved) -> list[np.ndarray]:
    return [event.pixels for event in draw(run, tiny_bundle()) if isinstance(event, Picture)]


def test_pictures_have_the_noise_of_their_own_seeds() -> None:
    run = resolved(count=3)
    assert picture_seeds(run, (0, 2)) == (7, 9)
    assert np.array_equal(started(run, 0, 2)[1], picture_noise(9).randn(SHAPE))


def test_variations_share_a_seed_and_lie_between_two_noises() -> None:
    run = resolved(VariationPart(strength=0.3, seed=40), count=3)
    assert picture_seeds(run, (0, 1, 2)) == (7, 7, 7)
    first, other = picture_noise(7).randn(SHAPE), picture_noise(42).randn(SHAPE)
    turned = started(run, 2)[0]
    apart = [float(np.linalg.norm(turned - one)) for one in (first, other)]
    assert 0 < apart[0] < apart[1]
    assert turned.std() == pytest.approx(first.std(), rel=0.05)  # not smaller, as on a straight line


@pytest.mark.parametrize(("strength", "seed"), [(0.0, 7), (1.0, 40)])
def test_the_ends_are_the_two_noises(strength: float, seed: int) -> None:
    run = resolved(VariationPart(strength=strength, seed=40))
    assert np.allclose(started(run, 0)[0], picture_noise(seed).randn(SHAPE), atol=1e-6)


def test_more_variation_is_further_away() -> None:
    base = drawn(resolved())[0].astype(float)
    apart = [
        np.abs(drawn(resolved(VariationPart(strength=strength, seed=1)))[0] - base).mean()
        for strength in (0.0, 0.1, 0.6)
    ]
    assert apart[0] == 0
    assert 0 < apart[1] < apart[2]


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "dpmpp_sde"])
def test_a_variation_alone_is_the_one_of_its_run(sampler: str) -> None:
    run = resolved(VariationPart(strength=0.4, seed=5), count=3, sampler=sampler, steps=3)
    together = drawn(run)
    assert not np.array_equal(together[0], together[2])
    alone = single(run.model_copy(update={"index": 2}))
    assert (alone.seed, alone.count) == (7, 1)
    assert np.abs(drawn(alone)[0].astype(int) - together[2]).max() <= 1
    assert resolve(recipe_of(alone), tiny_bundle().defaults) == alone


def test_solvers_take_the_noise_they_want() -> None:
    generators = (picture_noise(7),)
    euler = noise_source(solver_of("euler_a"), tiny_bundle(), (7,), generators, SHAPE)
    sde = noise_source(solver_of("dpmpp_sde"), tiny_bundle(), (7,), generators, SHAPE)
    assert isinstance(euler, FreshNoise)
    assert isinstance(sde, BrownianNoise)
