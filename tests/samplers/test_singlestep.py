import math

import numpy as np
import pytest

from sfumato.samplers.noise import BrownianNoise, FreshNoise, picture_noise
from sfumato.samplers.orders import Mixture, integrate
from sfumato.samplers.rules import ancestral
from sfumato.samplers.schedule import Schedule, grid
from sfumato.samplers.singlestep import DDIM, LCM, DPMpp2S, DPMppSDE, Euler, Heun

MIXTURE = Mixture()
SCHEDULE = Schedule.create()
X = np.linspace(-20, 20, 12)


def noise(sigma: float, sigma_next: float) -> np.ndarray:
    return np.sin(X + 10 * sigma + 7 * sigma_next)


def silent(sigma: float, sigma_next: float) -> np.ndarray:
    raise AssertionError("asked for noise")


@pytest.mark.parametrize(
    "rule", [Euler(), Euler(1.0), DDIM(), DDIM(1.0), Heun(), DPMpp2S(), DPMppSDE(), LCM()]
)
def test_the_last_step_is_the_denoised_latent_and_one_evaluation(rule: object) -> None:
    calls = []

    def denoise(x: np.ndarray, sigma: float) -> np.ndarray:
        calls.append(sigma)
        return MIXTURE.denoise(x, sigma)

    x, x0, _ = rule.step(denoise, X, 0.3, 0.0, rule.init(), silent)
    np.testing.assert_array_equal(x, x0)
    np.testing.assert_array_equal(x0, MIXTURE.denoise(X, 0.3))
    assert calls == [0.3]


@pytest.mark.parametrize("rule", [Euler(), DDIM(), Heun(), DPMpp2S(0.0), DPMppSDE(0.0)])
def test_without_eta_no_noise_is_asked_for(rule: object) -> None:
    integrate(rule, MIXTURE.denoise, X, (14.6, 7.0, 2.0, 0.4, 0.0), silent)


def test_euler_is_the_published_formula() -> None:
    x0 = MIXTURE.denoise(X, 5.0)
    x, seen, _ = Euler().step(MIXTURE.denoise, X, 5.0, 3.0, None, silent)
    np.testing.assert_allclose(x, X + (X - x0) / 5.0 * (3.0 - 5.0))
    np.testing.assert_array_equal(seen, x0)
    down, up = ancestral(5.0, 3.0, 1.0)
    x, _, _ = Euler(1.0).step(MIXTURE.denoise, X, 5.0, 3.0, None, noise)
    np.testing.assert_allclose(x, X + (X - x0) / 5.0 * (down - 5.0) + up * noise(5.0, 3.0))


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_is_the_paper_in_alpha_bar(eta: float) -> None:
    sigma, sigma_next = 5.0, 3.0
    a, b = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    z, x0 = X * math.sqrt(a), MIXTURE.denoise(X, sigma)
    eps = (z - math.sqrt(a) * x0) / math.sqrt(1 - a)
    spread = eta * math.sqrt((1 - b) / (1 - a)) * math.sqrt(1 - a / b)
    wanted = math.sqrt(b) * x0 + math.sqrt(1 - b - spread**2) * eps + spread * noise(sigma, sigma_next)
    x, _, _ = DDIM(eta).step(MIXTURE.denoise, X, sigma, sigma_next, None, noise)
    np.testing.assert_allclose(x * math.sqrt(b), wanted)


def test_ddim_from_infinity_takes_the_input_for_the_noise() -> None:
    sigma = Schedule.create(zero_terminal_snr=True).sigma_max
    x, x0, _ = DDIM().step(MIXTURE.denoise, X * sigma, sigma, 3.0, None, silent)
    np.testing.assert_allclose(x, x0 + 3.0 * X)


def test_heun_is_the_trapezoid() -> None:
    slope = (X - MIXTURE.denoise(X, 5.0)) / 5.0
    euler = X - 2.0 * slope
    other = (euler - MIXTURE.denoise(euler, 3.0)) / 3.0
    x, _, _ = Heun().step(MIXTURE.denoise, X, 5.0, 3.0, None, silent)
    np.testing.assert_allclose(x, X - 2.0 * (slope + other) / 2)


def test_heun_survives_an_infinite_start() -> None:
    sigmas = grid(Schedule.create(prediction="v", zero_terminal_snr=True), 20, "trailing")
    starts = np.array([MIXTURE.quantile(p, sigmas[0]) for p in (0.1, 0.5, 0.9)])
    wanted = [MIXTURE.quantile(p, 0.0) for p in (0.1, 0.5, 0.9)]
    np.testing.assert_allclose(integrate(Heun(), MIXTURE.denoise, starts, sigmas), wanted, atol=0.1)


def test_2s_ancestral_is_the_published_formula() -> None:
    # k-diffusion's notation: t = -log sigma, the middle halfway in t to the ancestral level
    sigma, sigma_next = 5.0, 3.0
    down, up = ancestral(sigma, sigma_next, 1.0)
    t, t_next = -math.log(sigma), -math.log(down)
    h = t_next - t
    middle = math.exp(-(t + h / 2))
    x_2 = middle / sigma * X - math.expm1(-h / 2) * MIXTURE.denoise(X, sigma)
    wanted = down / sigma * X - math.expm1(-h) * MIXTURE.denoise(x_2, middle) + up * noise(sigma, sigma_next)
    x, _, _ = DPMpp2S().step(MIXTURE.denoise, X, sigma, sigma_next, None, noise)
    np.testing.assert_allclose(x, wanted)


def test_sde_is_the_published_formula() -> None:
    sigma, sigma_next = 5.0, 3.0
    middle = math.sqrt(sigma * sigma_next)
    down, up = ancestral(sigma, middle, 1.0)
    x_2 = down / sigma * X + (1 - down / sigma) * MIXTURE.denoise(X, sigma) + up * noise(sigma, middle)
    down, up = ancestral(sigma, sigma_next, 1.0)
    wanted = (
        down / sigma * X + (1 - down / sigma) * MIXTURE.denoise(x_2, middle) + up * noise(sigma, sigma_next)
    )
    x, _, _ = DPMppSDE().step(MIXTURE.denoise, X, sigma, sigma_next, None, noise)
    np.testing.assert_allclose(x, wanted)


def test_lcm_adds_fresh_noise_to_the_guess() -> None:
    x, x0, _ = LCM().step(MIXTURE.denoise, X, 5.0, 3.0, None, noise)
    np.testing.assert_allclose(x, x0 + 3.0 * noise(5.0, 3.0))


@pytest.mark.parametrize("rule", [Euler(1.0), DDIM(0.5), DPMpp2S(), DPMppSDE()])
@pytest.mark.parametrize("brownian", [False, True])
def test_stochastic_steps_end_in_the_data(rule: object, brownian: bool) -> None:
    shape = (1, 60, 60)
    sigmas = grid(SCHEDULE, 60, "karras")
    fresh = FreshNoise((picture_noise(1),), shape)
    source = BrownianNoise((2,), shape, SCHEDULE.sigma_min, SCHEDULE.sigma_max) if brownian else fresh
    start = fresh(0.0, 0.0).astype(float) * sigmas[0]
    drawn = np.sort(integrate(rule, MIXTURE.denoise, start, sigmas, source).ravel())
    cdf = np.array([MIXTURE.cdf(float(x), 0.0) for x in drawn[::20]])
    assert np.abs(cdf - np.linspace(0, 1, len(cdf))).max() < 0.035


def test_more_steps_follow_the_same_brownian_path() -> None:
    # strong convergence: with the path fixed, pictures at 20, 40, 80 steps approach one picture
    shape = (1, 30, 30)
    start = picture_noise(1).randn((1, *shape)).astype(float) * SCHEDULE.sigma_max
    ends = [
        integrate(
            DPMppSDE(),
            MIXTURE.denoise,
            start,
            grid(SCHEDULE, num_steps, "karras"),
            BrownianNoise((3,), shape, SCHEDULE.sigma_min, SCHEDULE.sigma_max),
        )
        for num_steps in (20, 40, 80, 160)
    ]
    gaps = [float(np.sqrt(((end - ends[-1]) ** 2).mean())) for end in ends[:-1]]
    assert gaps[0] > 1.3 * gaps[1] > 1.69 * gaps[2]
    assert gaps[2] < 0.1
