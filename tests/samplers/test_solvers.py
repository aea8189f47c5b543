import subprocess
import sys

import numpy as np
import pytest
import torch

from sfumato.errors import RecipeError
from sfumato.samplers.noise import BrownianNoise, FreshNoise, picture_noise
from sfumato.samplers.orders import Mixture, integrate
from sfumato.samplers.schedule import Schedule, grid
from sfumato.samplers.singlestep import DDIM
from sfumato.samplers.solvers import SOLVERS, solver_of

SCHEDULE = Schedule.create()
NAMES = ["euler", "euler_a", "heun", "ddim", "lms", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "dpmpp_2s_a"]
NAMES += ["dpmpp_3m_sde", "unipc", "lcm"]
ETA_FREE = [name for name in NAMES if name != "ddim"]


def test_the_table_has_all_of_them_with_facts_that_hold() -> None:
    assert list(SOLVERS) == NAMES
    for name, row in SOLVERS.items():
        assert row.name == name
        assert solver_of(name) is row


@pytest.mark.parametrize("name", NAMES)
def test_evaluations_and_noise_are_as_the_row_says(name: str) -> None:
    row, calls, draws = SOLVERS[name], [], []

    def denoise(x: np.ndarray, sigma: float) -> np.ndarray:
        calls.append(sigma)
        return Mixture().denoise(x, sigma)

    def noise(sigma: float, sigma_next: float) -> np.ndarray:
        draws.append((sigma, sigma_next))
        return np.zeros(3)

    x, x0, state = row.step(denoise, np.ones(3), 5.0, 3.0, row.init(), noise)
    row.step(denoise, x, 3.0, 2.0, state, noise)
    assert len(calls) == 2 * row.evaluations
    assert bool(draws) == (row.noise != "none")
    np.testing.assert_array_equal(x0, Mixture().denoise(np.ones(3), 5.0))


@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_any_library_give_the_same_picture_in_their_own_dtype(name: str) -> None:
    row, shape = SOLVERS[name], (2, 3, 3)
    sigmas = grid(SCHEDULE, 10, "karras")
    start = np.stack([picture_noise(1, k).randn(shape) for k in range(2)]) * np.float32(sigmas[0])

    def noise(convert: object) -> object:
        if row.noise == "brownian":
            return BrownianNoise((1, 2), shape, SCHEDULE.sigma_min, SCHEDULE.sigma_max, convert)
        return FreshNoise(tuple(picture_noise(9, k) for k in range(2)), shape, convert)

    by_numpy = integrate(row.rule, lambda x, s: np.tanh(x / (1 + s)), start, sigmas, noise(np.asarray))
    by_torch = integrate(
        row.rule, lambda x, s: torch.tanh(x / (1 + s)), torch.tensor(start), sigmas, noise(torch.tensor)
    )
    assert by_numpy.dtype == np.float32
    assert by_torch.dtype == torch.float32
    np.testing.assert_allclose(by_torch.numpy(), by_numpy, atol=2e-5)
    double = integrate(
        row.rule, lambda x, s: np.tanh(x / (1 + s)), start.astype(float), sigmas, noise(np.asarray)
    )
    np.testing.assert_allclose(by_numpy, double, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_float32_keeps_its_digits_from_an_infinite_start(name: str) -> None:
    row, shape = SOLVERS[name], (2, 3, 3)
    schedule = Schedule.create(prediction="v", zero_terminal_snr=True)
    sigmas = grid(schedule, 20, "trailing")
    start = picture_noise(1).randn((1, *shape)) * np.float32(sigmas[0])
    results = []
    for x in (start, start.astype(float)):
        noise = FreshNoise((picture_noise(9),), shape)
        results.append(integrate(row.rule, lambda x, s: np.tanh(x / (1 + s)), x, sigmas, noise))
    np.testing.assert_allclose(results[0], results[1], atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_a_batch_is_the_picture_alone(name: str) -> None:
    row, shape = SOLVERS[name], (2, 3, 3)
    sigmas = grid(SCHEDULE, 8, "trailing")

    def draw(indices: tuple[int, ...]) -> np.ndarray:
        generators = tuple(picture_noise(5, k) for k in indices)
        start = np.stack([generator.randn(shape) for generator in generators]) * np.float32(sigmas[0])
        noise = FreshNoise(generators, shape)
        return integrate(row.rule, lambda x, s: np.tanh(x / (1 + s)), start, sigmas, noise)

    np.testing.assert_array_equal(draw((0, 1, 2))[1], draw((1,))[0])


@pytest.mark.parametrize("name", ["DPM++ 2M", "Euler", "dpmpp2", ""])
def test_only_exact_names_are_taken(name: str) -> None:
    with pytest.raises(RecipeError, match=r"sampler: unknown sampler .*Choose one of euler, euler_a"):
        solver_of(name)


def test_eta_belongs_to_ddim() -> None:
    ddim = SOLVERS["ddim"]
    assert ddim.with_eta(0.0) == ddim
    noisy = ddim.with_eta(0.5)
    assert (noisy.rule, noisy.noise) == (DDIM(0.5), "fresh")
    for name in ETA_FREE:
        assert SOLVERS[name].with_eta(0.5) is SOLVERS[name]


def test_the_package_never_imports_torch() -> None:
    code = "import sys, sfumato.samplers.orders; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
