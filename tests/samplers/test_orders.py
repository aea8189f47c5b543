import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.samplers.multistep import DPMpp3M
from sfumato.samplers.orders import Mixture, integrate, measure_orders, noise_off, order_of
from sfumato.samplers.singlestep import LCM, Euler
from sfumato.samplers.solvers import SOLVERS

MIXTURE = Mixture()
ROWS = {row.name: row for row in measure_orders()}


@pytest.mark.parametrize("name", list(SOLVERS))
def test_each_solver_converges_as_the_table_says(name: str) -> None:
    row = ROWS[name]
    assert row.expected == SOLVERS[name].order
    if row.expected is None or row.measured is None:
        assert name == "lcm"
        assert max(row.errors) < 1e-12
        return
    assert row.measured == pytest.approx(row.expected, abs=0.3)
    assert row.errors[-1] < row.errors[0] < 0.1


def test_the_second_difference_of_3m_needs_weight_two_for_third_order() -> None:
    field, errors = order_of(DPMpp3M(0.0), MIXTURE)
    taylor, better = order_of(DPMpp3M(0.0, curvature=2.0), MIXTURE)
    assert field < 2.3
    assert taylor > 2.8
    assert better[-1] < errors[-1] / 10


@given(st.floats(-30, 30), st.floats(0.01, 100), st.floats(0.01, 1))
def test_the_flow_solves_the_equation_of_the_denoiser(x: float, sigma: float, ratio: float) -> None:
    quantile = MIXTURE.cdf(x, sigma)
    if not 1e-6 < quantile < 1 - 1e-6:
        return
    # a small step of the exact flow against the slope (x - D) / sigma
    change = 1e-5
    moved = MIXTURE.flow(x, sigma, sigma * (1 - change))
    slope = (x - float(MIXTURE.denoise(np.array(x), sigma))) / sigma
    assert (x - moved) / (sigma * change) == pytest.approx(slope, rel=2e-3, abs=2e-3)
    assert MIXTURE.flow(MIXTURE.flow(x, sigma, sigma * ratio), sigma * ratio, sigma) == pytest.approx(
        x, rel=1e-6, abs=1e-6
    )


def test_the_denoiser_is_the_mean_of_the_posterior() -> None:
    # by numerical integration over x0
    grid = np.linspace(-4, 4, 20001)
    prior = sum(
        w / s * np.exp(-((grid - m) ** 2) / (2 * s * s))
        for w, m, s in zip(MIXTURE.weights, MIXTURE.means, MIXTURE.stds, strict=True)
    )
    for x, sigma in ((0.1, 0.5), (-1.3, 0.2), (3.0, 2.0)):
        posterior = prior * np.exp(-((x - grid) ** 2) / (2 * sigma**2))
        assert float(MIXTURE.denoise(np.array(x), sigma)) == pytest.approx(
            (grid * posterior).sum() / posterior.sum()
        )


def test_noise_is_off_and_missed() -> None:
    for row in SOLVERS.values():
        rule = noise_off(row.rule)
        if rule != LCM():
            integrate(rule, MIXTURE.denoise, np.ones(2), (5.0, 3.0, 1.0))
    with pytest.raises(ValueError, match="no noise"):
        integrate(Euler(1.0), MIXTURE.denoise, np.ones(2), (5.0, 3.0))
