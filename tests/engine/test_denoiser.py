"""The denoiser against nested evaluation on a real network, and the rows it really runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from recording import Recorder
from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.features import Features
from sfumato.engine.plan import Conditioning, Plan
from sfumato.engine.preparing import encode_plan, tokenise_plan
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, MixPrompt, Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

STEPS = 10


def plan_of(*parts: Part, guidance: float = 4.0, interval: int = 1) -> Plan:
    recipe = Recipe(seed=0, steps=STEPS, guidance=guidance, cache_interval=interval, parts=parts)
    return compile_plan(resolve(recipe, tiny_bundle().defaults))


def denoiser(plan: Plan, backend: Any = None, max_rows: int = 64) -> Denoiser:
    bundle = tiny_bundle()
    contexts, _ = encode_plan(plan, tokenise_plan(plan, bundle), bundle)
    return Denoiser(bundle.backend if backend is None else backend, bundle.schedule, plan, contexts, max_rows)


def latent(num_pictures: int = 2, sigma: float = 3.0) -> torch.Tensor:
    return torch.randn(num_pictures, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * sigma


@pytest.mark.parametrize("sigma", [0.1, 3.0, 4096.0])
def test_a_mix_of_guided_prompts_equals_nested_evaluation(sigma: float) -> None:
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.3), MixPrompt(prompt="snow", ratio=0.2)))
    x = latent(sigma=sigma)
    mixed = denoiser(plan_of(TextPart(prompt="a frog"), mix)).at(0)(x, sigma)
    alone = [
        denoiser(plan_of(TextPart(prompt=text))).at(0)(x, sigma) for text in ("a frog", "a rabbit", "snow")
    ]
    nested = alone[0] * 0.5 + alone[1] * 0.3 + alone[2] * 0.2
    assert (mixed - nested).abs().max() < 1e-6 * max(1.0, float(nested.abs().max()))


def test_guidance_equals_two_separate_predictions() -> None:
    x = latent()
    guided = denoiser(plan_of(TextPart(prompt="a frog"), guidance=6.0)).at(0)(x, 3.0)
    cond = denoiser(plan_of(TextPart(prompt="a frog"), guidance=1.0)).at(0)(x, 3.0)
    uncond = denoiser(plan_of()).at(0)(x, 3.0)
    assert torch.allclose(guided, uncond + 6 * (cond - uncond), atol=1e-4)


def test_the_window_skips_the_unconditional_rows() -> None:
    recorder = Recorder(tiny_bundle().backend)
    part = TextPart(prompt="a frog", guidance_start=0.2, guidance_stop=0.5)
    run = denoiser(plan_of(part), recorder)
    for step in range(STEPS):
        run.at(step)(latent(num_pictures=3), 3.0)
    assert recorder.rows == [3, 3, 6, 6, 6, 3, 3, 3, 3, 3]
    assert run.plan.max_branches == 2


def test_equal_branches_are_evaluated_once() -> None:
    recorder = Recorder(tiny_bundle().backend)
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.3),))
    run = denoiser(plan_of(TextPart(prompt="a frog"), mix), recorder)
    run.at(0)(latent(num_pictures=2), 3.0)
    assert recorder.rows == [6]
    assert run.plan.max_branches == 3


@pytest.mark.parametrize("max_rows", [1, 2, 3, 5])
def test_bounding_the_rows_changes_nothing_but_the_calls(max_rows: int) -> None:
    recorder = Recorder(tiny_bundle().backend)
    plan = plan_of(TextPart(prompt="a frog"))
    bounded = denoiser(plan, recorder, max_rows).at(0)(latent(3), 3.0)
    assert max(recorder.rows) <= max_rows
    assert sum(recorder.rows) == 6
    assert torch.allclose(bounded, denoiser(plan).at(0)(latent(3), 3.0), atol=1e-4)


def test_the_network_sees_the_timestep_of_sigma() -> None:
    recorder = Recorder(tiny_bundle().backend)
    run = denoiser(plan_of(), recorder)
    for t in (999, 500, 1):
        run.at(0)(latent(), tiny_bundle().schedule.sigma_of(t))
    assert recorder.timesteps == [999, 500, 1]


def test_no_gradients_flow_and_none_are_switched_off_outside() -> None:
    x = latent().requires_grad_()
    run = denoiser(plan_of(TextPart(prompt="a frog")))
    assert torch.is_grad_enabled()
    out = run.at(0)(x, 3.0)
    assert torch.is_grad_enabled()
    assert not out.is_inference()


def test_features_are_reused_between_full_steps() -> None:
    recorder = Recorder(tiny_bundle().backend)
    run = denoiser(plan_of(TextPart(prompt="a frog"), interval=3), recorder)
    for step in range(STEPS):
        run.at(step)(latent(), 3.0)
    assert recorder.reused == [step % 3 > 0 for step in range(STEPS)]
    assert recorder.rows == [4] * STEPS


def test_reusing_at_the_same_place_is_exact_and_elsewhere_it_is_not() -> None:
    part, x = TextPart(prompt="a frog"), latent()
    exact, cached = denoiser(plan_of(part)), denoiser(plan_of(part, interval=2))
    assert torch.equal(cached.at(0)(x, 3.0), exact.at(0)(x, 3.0))
    assert torch.allclose(cached.at(1)(x, 3.0), exact.at(1)(x, 3.0), atol=1e-5)
    assert not torch.allclose(cached.at(1)(x * 0.5, 1.5), exact.at(1)(x * 0.5, 1.5), atol=1e-3)


@pytest.mark.parametrize("max_rows", [1, 2, 3, 5])
def test_bounding_the_rows_keeps_each_row_its_features(max_rows: int) -> None:
    recorder = Recorder(tiny_bundle().backend)
    plan = plan_of(TextPart(prompt="a frog"), interval=2)
    bounded, whole = denoiser(plan, recorder, max_rows), denoiser(plan)
    for step, scale in ((0, 1.0), (1, 0.5)):
        ours, theirs = (one.at(step)(latent(3) * scale, 3.0 * scale) for one in (bounded, whole))
        assert torch.allclose(ours, theirs, atol=1e-4)
    assert max(recorder.rows) <= max_rows


def test_branches_that_end_leave_the_others_their_features() -> None:
    recorder = Recorder(tiny_bundle().backend)
    plan = plan_of(TextPart(prompt="a frog", guidance_stop=0.1), interval=2)
    run = denoiser(plan, recorder)
    run.at(0)(latent(), 3.0)
    alone = run.at(1)(latent(), 3.0)
    assert (recorder.rows, recorder.reused) == ([4, 2], [False, True])
    unguided = denoiser(plan_of(TextPart(prompt="a frog"), guidance=1.0)).at(0)(latent(), 3.0)
    assert torch.allclose(alone, unguided, atol=1e-5)


def test_a_prompt_that_comes_back_is_given_its_own_features() -> None:
    plan = plan_of(TextPart(prompt="[a frog|a rabbit]"), guidance=1.0, interval=3)
    assert plan.reusing == {2, 3, 6, 7}
    run, exact = denoiser(plan), denoiser(plan_of(TextPart(prompt="[a frog|a rabbit]"), guidance=1.0))
    for step in range(4):
        assert torch.allclose(run.at(step)(latent(), 3.0), exact.at(step)(latent(), 3.0), atol=1e-5)


def test_every_batch_has_features_of_its_own() -> None:
    first = denoiser(plan_of(TextPart(prompt="a frog"), interval=2))
    first.at(0)(latent(), 3.0)
    assert first.features.last
    assert not denoiser(first.plan).features.last
    assert not replace(first, features=Features()).features.last


@dataclass(eq=False)
class Onlooker:
    """Notes what it is asked to watch, and the predictions that are made while it watches."""

    recorder: Recorder
    seen: list[tuple[int, tuple[int, int], int]] = field(default_factory=list)

    def begin(self, batch: tuple[int, ...]) -> None: ...

    @contextmanager
    def during(self, asked: Sequence[Conditioning], size: tuple[int, int]) -> Iterator[None]:
        before = sum(self.recorder.rows)
        yield
        self.seen.append((len(asked), size, sum(self.recorder.rows) - before))


def test_what_attends_watches_every_row_of_an_evaluation() -> None:
    recorder = Recorder(tiny_bundle().backend)
    one = denoiser(plan_of(TextPart(prompt="a frog"), guidance=2.0), recorder, max_rows=3)
    onlooker = Onlooker(recorder)
    watched = replace(one, attending=onlooker)
    x = latent(num_pictures=2)
    assert torch.equal(watched.at(0)(x, 3.0), one.at(0)(x, 3.0))
    assert onlooker.seen == [(2, (8, 8), 4)]
