import numpy as np
import pytest
import torch

from samplers.parity import SHAPE, STEPS, Case, cases, make_network, make_scheduler, relative_error
from sfumato.samplers.noise import FreshNoise, picture_noise
from sfumato.samplers.orders import integrate
from sfumato.samplers.schedule import Schedule, grid, scale_in, to_x0
from sfumato.samplers.solvers import SOLVERS

# diffusers 0.42 builds its grids with a call that numpy 2 warns about
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_the_picture_is_that_of_diffusers(case: Case) -> None:
    assert relative_error(case) < 1e-4


def test_every_solver_is_compared() -> None:
    assert {case.solver for case in cases()} == set(SOLVERS)


def test_a_seed_means_what_it_means_in_diffusers() -> None:
    # start and step noise from our generator in numpy, theirs from torch's: the same ancestral picture
    case = Case("euler_a", "EulerAncestralDiscrete")
    scheduler = make_scheduler(case)
    schedule = Schedule.from_diffusers_config(dict(scheduler.config))
    network = make_network(schedule)
    generator = torch.Generator().manual_seed(77)
    theirs = torch.randn((1, *SHAPE[1:]), generator=generator) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        out = network(scheduler.scale_model_input(theirs, t).double(), float(t)).float()
        theirs = scheduler.step(out, t, theirs, generator=generator).prev_sample

    def denoise(x: np.ndarray, sigma: float) -> np.ndarray:
        scaled = torch.tensor(scale_in(x, sigma, schedule.prediction)).double()
        out = network(scaled, schedule.t_of(sigma)).numpy()
        return to_x0(out, x, sigma, "eps")

    ours = picture_noise(77)
    levels = grid(schedule, STEPS, "trailing")
    start = ours.randn((1, *SHAPE[1:])) * levels[0]
    drawn = integrate(SOLVERS["euler_a"].rule, denoise, start, levels, FreshNoise((ours,), SHAPE[1:]))
    assert np.abs(drawn - theirs.numpy()).max() / np.abs(drawn).max() < 1e-4
