from dataclasses import replace

import diffusers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ModelFileError, RecipeError
from sfumato.samplers.schedule import (
    TINY_ALPHA_BAR,
    Schedule,
    grid,
)

SD = Schedule.create()
KINDS = {"linear": "linear", "scaled_linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}


@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_those_of_diffusers(kind: str, zero_snr: bool) -> None:
    theirs = diffusers.EulerDiscreteScheduler(
        beta_schedule=KINDS[kind], beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=zero_snr
    )
    ours = Schedule.create(kind, zero_terminal_snr=zero_snr)
    same = Schedule.from_diffusers_config(dict(theirs.config))
    assert ours.alphas_cumprod.dtype == np.float64
    # theirs is a product of a thousand float32 numbers
    np.testing.assert_allclose(
        ours.alphas_cumprod, theirs.alphas_cumprod.double().numpy(), rtol=2e-4, atol=1e-7
    )
    np.testing.assert_array_equal(ours.alphas_cumprod, same.alphas_cumprod)
    if zero_snr:
        assert ours.alphas_cumprod[-1] == TINY_ALPHA_BAR
        assert ours.sigma_max == pytest.approx(4096, rel=1e-6)


def test_config_carries_prediction_offset_and_given_betas() -> None:
    betas = [0.01, 0.02, 0.03]
    config = {"trained_betas": betas, "prediction_type": "v_prediction", "steps_offset": 1, "unknown": 5}
    schedule = Schedule.from_diffusers_config(config)
    np.testing.assert_allclose(schedule.alphas_cumprod, np.cumprod(1 - np.array(betas)))
    assert (schedule.prediction, schedule.steps_offset) == ("v", 1)
    assert Schedule.from_diffusers_config({}).prediction == "eps"


@pytest.mark.parametrize(
    "config",
    [
        {"beta_schedule": "sigmoid"},
        {"beta_schedule": 3},
        {"prediction_type": "flow"},
        {"beta_start": "many"},
        {"beta_start": float("nan")},
        {"beta_end": 2.0},
        {"num_train_timesteps": 1},
        {"num_train_timesteps": 10**15},
        {"num_train_timesteps": float("inf")},
        {"trained_betas": [[0.1, 0.2]]},
        {"trained_betas": "abc"},
    ],
)
def test_a_broken_config_is_a_broken_model(config: dict[str, object]) -> None:
    with pytest.raises(ModelFileError):
        Schedule.from_diffusers_config(config)


def test_impossible_schedules_are_refused() -> None:
    for table in ([0.5], [0.5, 0.6], [1.0, 0.5], [0.5, 0.0], [[0.5, 0.4]]):
        with pytest.raises(ValueError, match="alphas_cumprod"):
            Schedule(np.array(table), "eps")
    with pytest.raises(ValueError, match="prediction"):
        Schedule(SD.alphas_cumprod, "noise")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind"):
        Schedule.create("square")  # type: ignore[arg-type]


def test_the_tables_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        SD.alphas_cumprod[0] = 0.5
    with pytest.raises(ValueError, match="read-only"):
        SD.sigmas[0] = 0.5


@given(st.floats(0, 999))
def test_timestep_and_sigma_are_inverse(t: float) -> None:
    assert SD.t_of(SD.sigma_of(t)) == pytest.approx(t, abs=2e-6)


def test_training_timesteps_come_back_whole_and_ends_clamp() -> None:
    assert [SD.t_of(float(sigma)) for sigma in SD.sigmas] == list(range(1000))
    assert (SD.t_of(0.0), SD.t_of(1e9)) == (0.0, 999.0)
    assert (SD.sigma_of(-5), SD.sigma_of(5000)) == pytest.approx((SD.sigma_min, SD.sigma_max))


def test_grid_ends_in_zero_and_refuses_what_it_cannot_do() -> None:
    levels = grid(SD, 20, "karras")
    assert len(levels) == 21
    assert levels[-1] == 0.0
    assert all(type(level) is float for level in levels)
    for steps in (0, -1, 1001):
        with pytest.raises(RecipeError, match="steps: must be between 1 and 1000"):
            grid(SD, steps, "karras")


@pytest.mark.parametrize("name", ["Karras", "karas", ""])
def test_only_exact_names_of_spacings_are_taken(name: str) -> None:
    with pytest.raises(RecipeError, match=r"spacing: unknown spacing .*Choose one of leading"):
        grid(SD, 20, name)


def test_knots_go_from_end_to_end_and_rise() -> None:
    low, high = SD.sigma_min, SD.sigma_max
    schedule = replace(SD, entropic=(round(low, 6), 1, 2.0, round(high, 3)))
    assert schedule.entropic == (low, 1.0, 2.0, high)
    for knots in (
        (low, high / 2),
        (2 * low, high),
        (low, 2.0, 1.0, high),
        (low, 1.0, 1.0, high),
        (low, float("nan"), high),
        (low,),
        (),
        (low, *np.linspace(1, 2, 5000).tolist(), high),
        (low, "many", high),
        (low, low * (1 - 1e-9), high),
    ):
        with pytest.raises(ValueError, match=r"entropic sigmas|could not convert"):
            replace(SD, entropic=knots)


def test_a_model_that_was_not_measured_has_no_entropic_steps() -> None:
    with pytest.raises(RecipeError, match=r"spacing: the entropy .* never measured .*Choose another"):
        grid(SD, 20, "entropic")
