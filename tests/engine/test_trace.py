"""The numbers of a trace: against what is known of noise, and of guidance."""

import csv
import json
import math
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest

from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.loop import Step, denoise
from sfumato.engine.plan import Plan
from sfumato.engine.preparing import encode_plan, tokenise_plan
from sfumato.engine.seeing import Look, unit_variance
from sfumato.engine.trace import GAUSSIAN, Gauge, TraceRow, entropy_bounds, measure, to_csv, to_json
from sfumato.models.bundle import ModelBundle
from sfumato.recipe.image import Recipe, Resolved, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.noise import FreshNoise, picture_noise
from sfumato.samplers.schedule import grid
from sfumato.samplers.solvers import solver_of
from tiny_models import tiny_bundle

SHAPE = (4, 8, 8)


def frog(bundle: ModelBundle, **fields: Any) -> Resolved:
    recipe = Recipe(seed=7, parts=(TextPart(prompt="a frog"),), **{"steps": 4, **fields})
    return resolve(recipe, bundle.defaults)


def look_of(x: Any, x0: Any, clean: Any = None, sigma_next: float = 0.0) -> Look:
    step = Step(2, 5, 3.0, sigma_next, 600.0, x, x, x0, 0.25)
    pixels = np.zeros((len(x), 8, 8, 3), np.float32) if clean is None else clean
    return Look(step, tuple(range(len(x))), x, x0, pixels, pixels, None)


def normal(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


def test_white_noise_has_the_most_entropy_on_average() -> None:
    assert pytest.approx(1.4189385, abs=1e-7) == GAUSSIAN
    each, joint = np.mean([entropy_bounds(normal(seed, 8, 64)) for seed in range(400)], axis=0)
    assert each == pytest.approx(GAUSSIAN, abs=0.005)
    assert joint == pytest.approx(GAUSSIAN, abs=0.005)


def test_scale_adds_its_logarithm_and_channels_that_agree_take_away() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4, 5000))
    each, joint = entropy_bounds(3 * noise)
    assert each == pytest.approx(GAUSSIAN + math.log(3), abs=0.02)
    assert joint == pytest.approx(each, abs=0.02)
    shared = 0.8 * noise[:1] + 0.6 * noise  # the last three: variance one each, correlation 0.64
    each, joint = entropy_bounds(
        np.concatenate([shared[1:], 0.8 * noise[:1] + 0.6 * rng.standard_normal((1, 5000))])
    )
    assert each == pytest.approx(GAUSSIAN, abs=0.02)
    correlations = np.full((4, 4), 0.64) + np.diag([0.36] * 4)
    assert joint == pytest.approx(GAUSSIAN + math.log(np.linalg.det(correlations)) / 8, abs=0.03)


@pytest.mark.parametrize(
    ("channels", "known"),
    [
        (np.zeros((3, 1)), (False, False)),
        (np.zeros((3, 9)), (False, False)),
        (normal(0, 4, 4), (True, False)),
        (np.repeat(normal(0, 1, 9), 2, axis=0), (True, False)),
    ],
)
def test_what_cannot_be_told_is_none(channels: Any, known: tuple[bool, bool]) -> None:
    each, joint = entropy_bounds(channels)
    # Two equal channels: the determinant is nothing but rounding.
    assert (each is not None, joint is not None and joint > -10) == known


def test_a_row_for_each_picture_of_a_step() -> None:
    clean = np.stack([normal(3, *SHAPE), 2 * normal(4, *SHAPE)]).astype(np.float32)
    x = (clean + 3 * normal(5, 2, *SHAPE)).astype(np.float32)
    pixels = np.zeros((2, 8, 8, 3), np.float32)
    pixels[1, :2] = 1.5
    pixels[1, 2:4] = 1.001  # rounds to 255
    first, second = measure(look_of(x, clean, pixels, 3.0), (1.2, math.nan))
    assert (first.index, second.index, first.step, first.num_steps) == (0, 1, 2, 5)
    assert (first.sigma, first.sigma_next, first.t, first.seconds) == (3.0, 3.0, 600.0, 0.25)
    scaled = unit_variance(x, 3.0)
    np.testing.assert_allclose(first.variance, scaled[0].reshape(4, -1).var(axis=1, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(second.mean, scaled[1].mean(axis=(1, 2)), atol=1e-6)
    assert second.x0_std == pytest.approx(clean[1].std(), rel=1e-5)
    assert (first.clipped, second.clipped) == (0.0, 0.25)
    assert (first.inflation, second.inflation) == (1.2, None)


def test_numbers_that_are_not_finite_are_counted_and_break_nothing() -> None:
    x0 = normal(0, 1, *SHAPE).astype(np.float32)
    x0[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    (row,) = measure(look_of(normal(1, 1, *SHAPE).astype(np.float32), x0))
    assert row.not_finite == 3
    assert math.isfinite(row.x0_std)
    json.loads(to_json([row], frog(tiny_bundle()), "numpy"))


def run(bundle: ModelBundle, resolved: Resolved, gauge: Gauge) -> list[tuple[Step, Any]]:
    """Draw with a gauge in the plan; return the steps and what it read."""
    plan: Plan = compile_plan(resolved)
    plan = replace(plan, project=(*plan.project, gauge))
    contexts, _ = encode_plan(plan, tokenise_plan(plan, bundle), bundle)
    denoiser = Denoiser(bundle.backend, bundle.schedule, plan, contexts, 16)
    levels = grid(bundle.schedule, resolved.steps, resolved.spacing)
    generators = tuple(picture_noise(7, index) for index in range(2))
    x = np.stack([one.randn(SHAPE) for one in generators]) * np.float32(levels[0])
    noise = FreshNoise(generators, SHAPE, bundle.backend.asarray)
    steps = denoise(denoiser, solver_of(resolved.sampler), levels, bundle.backend.asarray(x), noise)
    return [(step, gauge.take(step.sigma)) for step in steps]


@pytest.mark.parametrize("sampler", ["ddim", "heun", "dpmpp_2s_a"])
def test_guidance_inflates_and_the_gauge_changes_nothing(sampler: str) -> None:
    bundle = tiny_bundle()
    one = run(bundle, frog(bundle, guidance=1.0, sampler=sampler), Gauge())
    for _, ratios in one:
        assert ratios == pytest.approx((1.0, 1.0), abs=1e-5)
    many = run(bundle, frog(bundle, guidance=20.0, sampler=sampler), Gauge())
    assert all(len(ratios) == 2 for _, ratios in many)
    assert max(max(ratios) for _, ratios in many) > 1.1


def test_the_gauge_reads_the_ratio_of_the_two_predictions() -> None:
    bundle = tiny_bundle()
    (guided, *_), (plain, *_) = (
        run(bundle, frog(bundle, guidance=guidance), Gauge()) for guidance in (20.0, 1.0)
    )
    stds = [np.asarray(step.x0).reshape(2, -1).std(axis=1) for step, _ in (guided, plain)]
    np.testing.assert_allclose(guided[1], stds[0] / stds[1], rtol=1e-3)
    assert Gauge().take(1.0) is None


def test_rows_as_csv_and_json() -> None:
    rows = [
        TraceRow(0, 0, 2, 9.0, 1.0, 900.0, 0.5, (0.0, 0.1), (1.0, 1.1), 1.4, None, 0.5, None, 0.0, 0),
        TraceRow(0, 1, 2, 1.0, 0.0, 100.0, 0.5, (0.0, 0.1), (1.0, 1.1), 1.4, 1.3, 0.5, 1.5, 0.1, 0),
    ]
    first, second = csv.DictReader(StringIO(to_csv(rows)))
    assert (first["entropy_joint"], second["entropy_joint"]) == ("", "1.3")
    assert (first["variance_1"], second["inflation"]) == ("1.1", "1.5")
    resolved = frog(tiny_bundle())
    document = json.loads(to_json(rows, resolved, "torch cpu float32"))
    assert document["recipe"] == resolved.model_dump(mode="json")
    assert document["steps"][1]["variance"] == [1.0, 1.1]
    assert document["gaussian"] == GAUSSIAN
    assert to_csv([]).count("\n") == 1
