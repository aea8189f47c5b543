"""The loop on numpy, with an exact denoiser in place of a network: what it yields, and when it stops."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sfumato.engine.denoiser import Denoiser
from sfumato.engine.loop import Step, advice, denoise
from sfumato.engine.plan import UNCONDITIONAL, Branch, Plan
from sfumato.engine.texts import Texts
from sfumato.errors import NumericalError
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.samplers.noise import FreshNoise
from sfumato.samplers.schedule import Schedule, grid
from sfumato.samplers.solvers import SOLVERS

SCHEDULE = Schedule.create(prediction="x0")
SHAPE = (2, 4, 8, 8)
STEPS = 8
SIGMAS = grid(SCHEDULE, STEPS, "trailing")


class Exact:
    """A backend on numpy whose network knows the answer: the clean latent is a constant."""

    name = "exact numpy"

    def __init__(self, breaks_below: float = -1.0) -> None:
        self.breaks_below = breaks_below
        self.reused: list[bool] = []

    def asarray(self, a: NDArray[np.float32]) -> Any:
        return a

    def to_numpy(self, x: Any) -> NDArray[np.float32]:
        return x

    def encode_text(self, ids: NDArray[np.int64], skipped: int = 0) -> Any:
        return np.zeros((*ids.shape, 4), np.float32)

    def predict(self, x: Any, t: float, context: Any, extra: Extra = NOTHING) -> Any:
        return np.full_like(x, np.inf if t < self.breaks_below else 0.5)

    def predict_reusing(
        self, x: Any, t: float, context: Any, features: Any, extra: Extra = NOTHING
    ) -> tuple[Any, Any]:
        self.reused.append(features is not None)
        return self.predict(x, t, context), x if features is None else features

    def encode_image(self, pixels: NDArray[np.float32]) -> Any:
        return pixels

    def decode(self, latents: Any) -> NDArray[np.float32]:
        return latents

    def max_rows(self, height: int, width: int) -> int:
        return 64


def denoiser(backend: Exact, reusing: frozenset[int] = frozenset()) -> Denoiser:
    plan = Plan((Branch(UNCONDITIONAL, 1.0, 1.0, frozenset(range(STEPS))),), reusing=reusing)
    return Denoiser(backend, SCHEDULE, plan, Texts({UNCONDITIONAL: np.zeros((1, 5, 4), np.float32)}), 64)


def start() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32) * np.float32(SIGMAS[0])


def steps(name: str, sigmas: Sequence[float] = SIGMAS, x: Any = None, first: int = 0) -> list[Step]:
    noise = FreshNoise((), SHAPE[1:])
    begin = start() if x is None else x
    return list(denoise(denoiser(Exact()), SOLVERS[name], sigmas, begin, noise, first))


@pytest.mark.parametrize("name", ["euler", "ddim", "heun", "dpmpp_2m", "lms", "unipc"])
def test_every_step_is_told_and_the_last_is_clean(name: str) -> None:
    seen = steps(name)
    assert [step.index for step in seen] == list(range(STEPS))
    assert [(step.sigma, step.sigma_next) for step in seen] == list(pairwise(SIGMAS))
    assert {step.num_steps for step in seen} == {STEPS}
    assert [step.t for step in seen] == [SCHEDULE.t_of(sigma) for sigma in SIGMAS[:-1]]
    assert all(step.seconds >= 0 for step in seen)
    assert all(np.allclose(step.x0, 0.5) for step in seen)
    assert np.allclose(seen[-1].x, 0.5, atol=1e-5)
    assert seen[-1].x.dtype == np.float32


@pytest.mark.parametrize("name", ["euler", "heun"])
def test_a_run_can_begin_at_a_later_step(name: str) -> None:
    whole = steps(name)
    rest = steps(name, x=whole[2].x, first=3)
    assert [step.index for step in rest] == list(range(3, STEPS))
    assert np.array_equal(rest[-1].x, whole[-1].x)


def test_both_evaluations_of_a_step_run_in_full_or_reuse() -> None:
    backend = Exact()
    cached = denoiser(backend, frozenset({2, 3, 5}))
    list(denoise(cached, SOLVERS["heun"], SIGMAS, start(), FreshNoise((), SHAPE[1:])))
    wanted = [step in cached.plan.reusing for step in range(STEPS)]
    # Heun evaluates at both ends of a step; the last step has one evaluation.
    assert backend.reused == [one for step in wanted[:-1] for one in (step, step)] + wanted[-1:]


def test_steps_come_one_at_a_time() -> None:
    running = denoise(denoiser(Exact()), SOLVERS["euler"], SIGMAS, start(), FreshNoise((), SHAPE[1:]))
    first = next(running)
    assert first.index == 0
    running.close()
    assert not list(running)


@pytest.mark.parametrize("backend", ["torch cuda float16", "openvino cpu bfloat16", "openvino cpu int8"])
def test_advice_asks_for_more_digits(backend: str) -> None:
    said = advice(backend, "Lower it.")
    assert said.startswith("Use --precision f32 ")
    assert said.endswith(": Lower it.")


def test_advice_asks_for_digits_only_where_there_are_more() -> None:
    assert advice("torch cpu float32", "Lower it.") == "Lower it."


def test_infinite_latents_stop_the_run_and_name_the_step() -> None:
    broken = denoiser(Exact(breaks_below=500))
    seen: list[Step] = []
    with pytest.raises(NumericalError) as caught:
        seen.extend(denoise(broken, SOLVERS["euler"], SIGMAS, start(), FreshNoise((), SHAPE[1:])))
    wrong = next(i for i, sigma in enumerate(SIGMAS) if SCHEDULE.t_of(sigma) < 500)
    assert f"step {wrong + 1} of {STEPS}" in str(caught.value)
    assert f"sigma {SIGMAS[wrong]:.4g}" in str(caught.value)
    assert caught.value.exit_code == 1
