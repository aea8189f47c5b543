"""Projected guidance against diffusers' own function, and what it remembers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

from sfumato.engine.apg import Memory, Projected
from sfumato.engine.plan import Guided
from sfumato.samplers.schedule import Prediction, to_x0

GUIDANCE = 7.0
SIGMAS = (3.0, 1.2, 0.4)


def normal(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape or (2, 4, 8, 8)).astype(np.float32)


def guided(step: int, prediction: Prediction, sigma: float, guidance: float = GUIDANCE) -> Guided:
    conditional, unconditional = normal(10 + step), normal(20 + step)
    output = unconditional + guidance * (conditional - unconditional)
    return Guided(normal(30 + step), sigma, output, conditional, prediction, step)


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
@pytest.mark.parametrize(("eta", "norm", "momentum"), [(0.0, 0.5, -0.5), (0.3, 0.0, 0.0), (1.0, 0.2, 0.4)])
def test_steps_equal_those_of_diffusers(
    prediction: Prediction, eta: float, norm: float, momentum: float
) -> None:
    ours = Projected(eta, norm, momentum, GUIDANCE - 1)
    buffer = MomentumBuffer(momentum)
    for step, sigma in enumerate(SIGMAS):
        one = guided(step, prediction, sigma)
        clean = to_x0(one.reference, one.x, sigma, prediction)
        unguided = to_x0(normal(20 + step), one.x, sigma, prediction)
        theirs = normalized_guidance(
            torch.tensor(clean),
            torch.tensor(unguided),
            GUIDANCE - 1,  # the paper adds what is beyond one to the conditional prediction
            buffer,
            eta,
            norm * clean[0].size ** 0.5,
            use_original_formulation=True,
        )
        made = to_x0(ours(one), one.x, sigma, prediction)
        np.testing.assert_allclose(made, theirs.numpy(), rtol=1e-4, atol=2e-4)


def test_the_neutral_values_are_guidance_as_ever() -> None:
    one = guided(0, "v", 1.0)
    np.testing.assert_allclose(Projected(1.0, 0.0, 0.0, GUIDANCE - 1)(one), one.output, atol=1e-4)


def test_nothing_is_done_where_nothing_guides() -> None:
    one = guided(0, "v", 1.0)
    one = replace(one, output=one.reference)
    ours = Projected(0.0, 0.1, -0.5, 3.0)
    assert ours(one) is one.output
    assert ours.memory.now is None


def test_what_is_left_is_at_right_angles_to_the_prediction() -> None:
    one = guided(0, "v", 1.0)
    output = Projected(0.0, 0.0, 0.0, GUIDANCE - 1)(one)
    clean, made = (to_x0(each, one.x, 1.0, "v") for each in (one.reference, output))
    along = ((made - clean) * clean).sum(axis=(1, 2, 3))
    assert np.abs(along).max() < 1e-2 * (clean**2).sum(axis=(1, 2, 3)).min()


def test_the_size_is_bounded_picture_by_picture() -> None:
    one = guided(0, "x0", 1.0)
    output = Projected(1.0, 0.25, 0.0, GUIDANCE - 1)(one)
    size = np.sqrt(((output - one.reference) ** 2).mean(axis=(1, 2, 3))) / (GUIDANCE - 1)
    np.testing.assert_allclose(size, 0.25, rtol=1e-4)


def test_a_second_question_in_a_step_does_not_count_twice() -> None:
    once, twice = Projected(0.0, 0.0, 0.5, 6.0), Projected(0.0, 0.0, 0.5, 6.0)
    twice(guided(0, "v", 3.0))
    for ours in (once, twice):
        ours(guided(0, "v", 3.0))
    one = guided(1, "v", 1.0)
    np.testing.assert_array_equal(once(one), twice(one))


def test_the_next_pictures_begin_without_memory() -> None:
    ours, fresh = Projected(0.0, 0.0, 0.5, 6.0), Projected(0.0, 0.0, 0.5, 6.0)
    for step, sigma in enumerate(SIGMAS):
        ours(guided(step, "v", sigma))
    np.testing.assert_array_equal(ours(guided(0, "v", 3.0)), fresh(guided(0, "v", 3.0)))
    alone = Projected(0.0, 0.0, 0.5, 6.0)  # drawings of one step
    first = alone(guided(0, "v", 3.0))
    np.testing.assert_array_equal(alone(guided(0, "v", 3.0)), first)


def test_a_gap_between_steps_forgets() -> None:
    memory = Memory()
    assert memory.at(0) is None
    memory.now = "a"
    assert memory.at(1) == "a"
    memory.now = "b"
    assert memory.at(1) == "a"
    assert memory.at(4) is None
