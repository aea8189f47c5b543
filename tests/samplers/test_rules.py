import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.samplers.rules import ancestral, relax

LEVELS = st.floats(1e-3, 4096)


@given(LEVELS, st.floats(0.0, 0.9999), st.floats(0, 1))
def test_the_two_parts_of_an_ancestral_step(sigma: float, ratio: float, eta: float) -> None:
    sigma_next = sigma * ratio
    down, up = ancestral(sigma, sigma_next, eta)
    assert down**2 + up**2 == pytest.approx(sigma_next**2, rel=1e-9, abs=1e-12)
    assert up == pytest.approx(eta * sigma_next * (1 - ratio**2) ** 0.5, rel=1e-6, abs=1e-9)
    assert 0 <= up <= sigma_next


@given(LEVELS, st.floats(1e-3, 0.999), st.floats(0, 1))
def test_it_is_the_variance_of_ddim(sigma: float, ratio: float, eta: float) -> None:
    # Song et al. 2020 Eq. 16, in alpha_bar
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + (sigma * ratio) ** 2)
    ddim = eta * ((1 - a_next) / (1 - a)) ** 0.5 * (1 - a / a_next) ** 0.5
    _, up = ancestral(sigma, sigma * ratio, eta)
    assert up == pytest.approx(ddim / a_next**0.5, rel=1e-4, abs=1e-7)


def test_relax_solves_the_equation_for_a_constant_denoiser() -> None:
    x0, noise = np.array([0.5, -2.0]), np.array([1.0, -1.0])
    np.testing.assert_allclose(relax(x0 + 8.0 * noise, x0, 3.0 / 8.0), x0 + 3.0 * noise)
