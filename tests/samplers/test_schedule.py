from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ModelFileError, RecipeError
from sfumato.samplers.schedule import (
    TINY_ALPHA_BAR,
    Schedule,
    add_noise,
    grid,
    min_snr_weight,
    scale_in,
    snr,
    target,
    to_x0,
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


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_targets_lead_back_to_the_clean_latent(prediction: str, kind: str) -> None:
    draw = np.random.default_rng(0).standard_normal
    x0, noise = (draw((3, 4, 2, 2)).astype(np.float32) for _ in range(2))
    alpha_bar = SD.alphas_cumprod[[3, 400, 900]]
    if kind == "torch":
        x0, noise, alpha_bar = torch.tensor(x0), torch.tensor(noise), torch.tensor(alpha_bar)
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    sigma_4d = sigma.reshape(3, 1, 1, 1)
    x = x0 + (sigma_4d.float() if kind == "torch" else sigma_4d.astype(np.float32)) * noise
    out = target(x0, noise, alpha_bar, prediction)
    z = add_noise(x0, noise, alpha_bar)
    back = to_x0(out, x, sigma, prediction)
    assert type(back) is type(x0)
    assert (z.dtype, out.dtype, back.dtype) == (x0.dtype, x0.dtype, x0.dtype)
    assert float(abs(scale_in(x, sigma, "eps") - z).max()) < 1e-5
    assert float(abs(back - x0).max()) < 3e-5
    # the float form is the array form
    one = to_x0(out[1:2], x[1:2], float(sigma[1]), prediction)
    assert one.dtype == x0.dtype
    assert float(abs(one - back[1:2]).max()) < 1e-6
    assert float(abs(scale_in(x[1:2], np.float64(sigma[1]), "eps") - z[1:2]).max()) < 1e-5
    assert scale_in(x, np.float64(2.0), "eps").dtype == x0.dtype


def test_v_target_is_the_one_of_diffusers() -> None:
    x0, noise = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    theirs = diffusers.DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    t = torch.tensor([10, 800])
    alpha_bar = torch.tensor(SD.alphas_cumprod)[t]
    ours = target(x0, noise, alpha_bar, "v")
    torch.testing.assert_close(ours, theirs.get_velocity(x0, noise, t), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        add_noise(x0, noise, alpha_bar), theirs.add_noise(x0, noise, t), atol=1e-4, rtol=0
    )


@given(st.floats(0, 1e6), st.floats(0.1, 20))
def test_min_snr_weight_in_units_of_x0(ratio: float, gamma: float) -> None:
    # |x0 error|^2 is |eps error|^2 / snr and |v error|^2 / (snr + 1)
    x0, v, eps = (float(min_snr_weight(ratio, gamma, kind)) for kind in ("x0", "v", "eps"))
    assert x0 == min(ratio, gamma)
    assert v * (ratio + 1) == pytest.approx(x0)
    assert eps * ratio == pytest.approx(x0)
    assert 0 <= eps <= 1


def test_min_snr_weight_of_a_batch() -> None:
    ratios = snr(torch.tensor([TINY_ALPHA_BAR, 0.5, 0.99], dtype=torch.float64))
    weights = min_snr_weight(ratios, 5.0, "v")
    assert weights.shape == (3,)
    torch.testing.assert_close(weights, ratios.clamp(max=5) / (ratios + 1))
    assert torch.isfinite(min_snr_weight(torch.zeros(2), 5.0, "eps")).all()


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
