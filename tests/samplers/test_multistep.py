import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.samplers.multistep import LMS, DPMpp2M, DPMpp3M, UniPC, lagrange_integrals
from sfumato.samplers.noise import BrownianNoise, picture_noise
from sfumato.samplers.orders import Mixture, integrate
from sfumato.samplers.schedule import Schedule, grid

MIXTURE = Mixture()
SCHEDULE = Schedule.create()
X = np.linspace(-20, 20, 12)
SIGMAS = (9.0, 6.5, 4.0, 3.1)


def noise(sigma: float, sigma_next: float) -> np.ndarray:
    return np.sin(X + 10 * sigma + 7 * sigma_next)


@pytest.mark.parametrize("rule", [DPMpp2M(), DPMpp2M(1.0), DPMpp3M(), DPMpp3M(0.0), UniPC()])
def test_the_last_step_is_the_denoised_latent(rule: object) -> None:
    state = rule.init()
    x = X
    for sigma, sigma_next in ((9.0, 4.0), (4.0, 2.0)):
        x, _, state = rule.step(MIXTURE.denoise, x, sigma, sigma_next, state, noise)
    end, x0, _ = rule.step(MIXTURE.denoise, x, 2.0, 0.0, state, noise)
    np.testing.assert_array_equal(end, x0)
    np.testing.assert_array_equal(x0, MIXTURE.denoise(x, 2.0))


def test_states_are_values() -> None:
    # Two continuations from one state must not disturb each other: a run can be forked or repeated.
    for rule in (LMS(), DPMpp2M(), DPMpp3M(0.0), UniPC()):
        x, _, state = rule.step(MIXTURE.denoise, X, 9.0, 6.5, rule.init(), noise)
        first = rule.step(MIXTURE.denoise, x, 6.5, 4.0, state, noise)[0]
        rule.step(MIXTURE.denoise, x + 1, 6.5, 0.5, state, noise)
        np.testing.assert_array_equal(rule.step(MIXTURE.denoise, x, 6.5, 4.0, state, noise)[0], first)


@given(st.lists(st.floats(0.1, 50), min_size=4, max_size=4, unique_by=lambda x: round(x, 1)))
def test_lagrange_integrals_are_exact_for_cubics(nodes: list[float]) -> None:
    start, end = nodes[0], nodes[0] * 0.7
    for count in range(1, 5):
        weights = lagrange_integrals(tuple(nodes[:count]), start, end)
        for power in range(count):
            exact = (end ** (power + 1) - start ** (power + 1)) / (power + 1)
            terms = [w * node**power for w, node in zip(weights, nodes[:count], strict=True)]
            assert sum(terms) == pytest.approx(exact, rel=1e-6, abs=1e-8 * max(map(abs, terms)) + 1e-9)


def test_lms_follows_a_cubic_slope_exactly() -> None:
    # slope dx/dsigma = sigma^3, so D(x, sigma) = x - sigma^4
    levels = (9.0, 8.5, 7.0, 6.5, 5.0, 3.0, 0.0)
    rule, state, x = LMS(), LMS().init(), np.array([2.0])
    for sigma, sigma_next in pairwise(levels[:4]):
        _, _, state = rule.step(lambda x, s: x - s**4, x, sigma, sigma_next, state, noise)
    for sigma, sigma_next in pairwise(levels[3:]):
        end, _, state = rule.step(lambda x, s: x - s**4, x, sigma, sigma_next, state, noise)
        np.testing.assert_allclose(end - x, (sigma_next**4 - sigma**4) / 4, rtol=1e-9)
    with pytest.raises(ValueError, match="order"):
        LMS(5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_2m_is_the_published_formula(eta: float) -> None:
    rule = DPMpp2M(eta)
    a, b, c = SIGMAS[:3]
    x1, first, state = rule.step(MIXTURE.denoise, X, a, b, rule.init(), noise)
    x2, second, _ = rule.step(MIXTURE.denoise, x1, b, c, state, noise)
    h, h_last = math.log(b / c), math.log(a / b)
    h_eta = h * (1 + eta)
    wanted = c / b * math.exp(-h * eta) * x1 - math.expm1(-h_eta) * second
    wanted = wanted - 0.5 * math.expm1(-h_eta) * (h / h_last) * (second - first)
    wanted = wanted + eta * noise(b, c) * c * math.sqrt(-math.expm1(-2 * h))
    np.testing.assert_allclose(x2, wanted)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_3m_is_the_published_formula(eta: float) -> None:
    # as in k-diffusion: phi_2 and phi_3 with the step stretched by 1 + eta
    rule = DPMpp3M(eta)
    x, state = X, rule.init()
    guesses = []
    for sigma, sigma_next in pairwise(SIGMAS[:3]):
        x, x0, state = rule.step(MIXTURE.denoise, x, sigma, sigma_next, state, noise)
        guesses.append(x0)
    end, d0, _ = rule.step(MIXTURE.denoise, x, SIGMAS[2], SIGMAS[3], state, noise)
    h, h_1, h_2 = (math.log(SIGMAS[i] / SIGMAS[i + 1]) for i in (2, 1, 0))
    h_eta, r0, r1 = h * (1 + eta), h_1 / h, h_2 / h
    d1_0, d1_1 = (d0 - guesses[1]) / r0, (guesses[1] - guesses[0]) / r1
    d1, d2 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1), (d1_0 - d1_1) / (r0 + r1)
    phi_2 = math.expm1(-h_eta) / h_eta + 1
    phi_3 = phi_2 / h_eta - 0.5
    wanted = math.exp(-h_eta) * x - math.expm1(-h_eta) * d0 + phi_2 * d1 - phi_3 * d2
    wanted = wanted + eta * noise(SIGMAS[2], SIGMAS[3]) * SIGMAS[3] * math.sqrt(-math.expm1(-2 * h))
    np.testing.assert_allclose(end, wanted)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_3m_with_curvature_two_is_exact_for_a_quadratic_denoiser(eta: float) -> None:
    # x(end) = e^(-ch) x + c int_0^h e^(-c(h-u)) P(u) du with c = 1 + eta; P quadratic in log(1/sigma)
    def quadratic(x: np.ndarray, sigma: float) -> np.ndarray:
        u = -math.log(sigma)
        return np.full_like(x, 0.7 - 1.3 * u + 0.9 * u * u)

    def silence(sigma: float, sigma_next: float) -> float:
        return 0.0

    ends = {}
    for curvature in (1.0, 2.0):
        rule = DPMpp3M(eta, curvature)
        _x, state = np.array([3.0]), rule.init()
        for sigma, sigma_next in pairwise(SIGMAS[:3]):
            _x, _, state = rule.step(quadratic, np.array([3.0]), sigma, sigma_next, state, silence)
        ends[curvature], _, _ = rule.step(quadratic, np.array([3.0]), SIGMAS[2], SIGMAS[3], state, silence)
    c, h = 1 + eta, math.log(SIGMAS[2] / SIGMAS[3])
    points, weights = np.polynomial.legendre.leggauss(20)
    u = (points + 1) * h / 2
    values = np.array([quadratic(np.zeros(1), SIGMAS[2] * math.exp(-v))[0] for v in u])
    exact = math.exp(-c * h) * 3.0 + c * h / 2 * float((weights * np.exp(-c * (h - u)) * values).sum())
    assert ends[2.0][0] == pytest.approx(exact, rel=1e-12)
    assert ends[1.0][0] != pytest.approx(exact, rel=1e-4)


def test_unipc_corrects_the_point_it_came_from() -> None:
    # With order 1 the corrector is the trapezoid weight 1/2 on the change of the denoiser (Zhao et al. Eq.
    # 9).
    a, b, c = SIGMAS[:3]
    rule = UniPC()
    x1, first, state = rule.step(MIXTURE.denoise, X, a, b, rule.init(), noise)
    _, second, state = rule.step(MIXTURE.denoise, x1, b, c, state, noise)
    h = math.log(a / b)
    wanted = b / a * X - math.expm1(-h) * (first + 0.5 * (second - first))
    np.testing.assert_allclose(state.start, wanted)
    assert state.order == 2


@pytest.mark.parametrize("rule", [DPMpp2M(1.0), DPMpp2M(0.5), DPMpp3M(1.0)])
def test_stochastic_steps_end_in_the_data(rule: object) -> None:
    shape = (1, 60, 60)
    sigmas = grid(SCHEDULE, 60, "karras")
    source = BrownianNoise((2,), shape, SCHEDULE.sigma_min, SCHEDULE.sigma_max)
    start = picture_noise(1).randn((1, *shape)).astype(float) * sigmas[0]
    drawn = np.sort(integrate(rule, MIXTURE.denoise, start, sigmas, source).ravel())
    cdf = np.array([MIXTURE.cdf(float(x), 0.0) for x in drawn[::20]])
    assert np.abs(cdf - np.linspace(0, 1, len(cdf))).max() < 0.035
