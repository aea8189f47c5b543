import diffusers
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.samplers.prediction import add_noise, min_snr_weight, scale_in, snr, target, to_x0
from sfumato.samplers.schedule import TINY_ALPHA_BAR, Schedule

SD = Schedule.create()


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
