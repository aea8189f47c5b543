import math
from itertools import pairwise

import diffusers
import numpy as np
import pytest
import torch

from sfumato.errors import ModelFileError, RecipeError
from sfumato.samplers import flow
from sfumato.samplers.orders import integrate
from sfumato.samplers.schedule import Schedule, grid, min_snr_weight, scale_in, target, to_x0
from sfumato.samplers.solvers import SOLVERS

# diffusers 0.42 builds its grids with a call that numpy 2 warns about
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "num_train_timesteps": 1000}
SHAPE = (2, 4, 3, 5)


def network(z: np.ndarray, t: float) -> np.ndarray:
    """Return what stands in for the flow at timestep `t`: smooth, and neither linear nor zero at an end."""
    return np.tanh(z * (0.4 + t / 1500)) * 0.8 + z * 0.3 + math.sin(t / 300)


def start() -> np.ndarray:
    return np.random.default_rng(5).standard_normal(SHAPE)


def test_a_configuration_makes_the_levels_it_was_trained_on():
    schedule = Schedule.from_diffusers_config(CONFIG)
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    shares = theirs.sigmas.numpy()[::-1]
    assert schedule.prediction == "flow"
    np.testing.assert_allclose(flow.share_of(schedule.sigmas), shares, atol=2e-6)
    times = [schedule.t_of(sigma) for sigma in schedule.sigmas]
    np.testing.assert_allclose(times, theirs.timesteps.numpy()[::-1], rtol=1e-5)
    assert times[-1] == 1000
    assert Schedule.from_diffusers_config({"_class_name": CONFIG["_class_name"]}).sigmas[
        499
    ] == pytest.approx(1)


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.5])
@pytest.mark.parametrize("num_steps", [1, 2, 4, 28, 40, 333, 1000])
def test_the_grid_is_that_of_diffusers(shift, num_steps):
    schedule, theirs = Schedule.flow(shift), diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs.set_timesteps(num_steps)
    levels = grid(schedule, num_steps, "flow")
    np.testing.assert_allclose([flow.share_of(one) for one in levels], theirs.sigmas.numpy(), atol=2e-6)
    times = [schedule.t_of(one) for one in levels[:-1]]
    np.testing.assert_allclose(times, theirs.timesteps.numpy(), rtol=1e-5)


def test_timesteps_and_levels_are_inverse_and_clamped():
    schedule = Schedule.flow(3.0)
    for t in (12.5, 300.0, 999.25):
        assert schedule.t_of(schedule.sigma_of(t)) == pytest.approx(t)
    assert schedule.sigma_of(0) == schedule.sigma_min
    assert schedule.sigma_of(1000) == schedule.sigma_max == pytest.approx(flow.SIGMA_MAX)
    assert schedule.t_of(0.0) == pytest.approx(1000 * flow.share_of(schedule.sigma_min))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_output_leads_back_to_the_clean_latent(kind):
    to = torch.tensor if kind == "torch" else np.asarray
    x0, noise = (to(np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)) for seed in (1, 2))
    share = to(np.array([0.25, 0.999], np.float32))
    wide = share[:, None, None, None]
    z, sigma = x0 * (1 - wide) + noise * wide, share / (1 - share)
    x = z / (1 - wide)
    assert float(abs(scale_in(x, sigma, "flow") - z).max()) < 1e-5
    back = to_x0(noise - x0, x, sigma, "flow")
    assert back.dtype == x0.dtype
    assert float(abs(back - x0).max()) < 2e-4
    one = to_x0((noise - x0)[:1], x[:1], float(sigma[0]), "flow")
    assert float(abs(one - x0[:1]).max()) < 1e-5


def test_an_euler_step_here_is_one_along_the_flow():
    schedule = Schedule.flow(3.0)
    levels = grid(schedule, 7, "flow")
    shares = [1.0, *(flow.share_of(one) for one in levels[1:])]
    z = start()
    for share, lower in pairwise(shares):
        z = z + network(z, 1000 * share) * (lower - share)
    drawn = integrate(SOLVERS["euler"].rule, _denoise(schedule), start() * levels[0], levels)
    np.testing.assert_allclose(drawn, z, atol=3e-5)


@pytest.mark.parametrize(
    ("solver", "scheduler"), [("dpmpp_2m", "DPMSolverMultistep"), ("unipc", "UniPCMultistep"), ("euler", "")]
)
def test_other_solvers_take_flows_as_those_of_diffusers(solver, scheduler):
    if scheduler:
        kind = getattr(diffusers, f"{scheduler}Scheduler")
        more = {"lower_order_final": True, "solver_order": 2}
        theirs = kind(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, **more)
    else:
        theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs.set_timesteps(6)
    z = torch.tensor(start(), dtype=torch.float64)
    shares = theirs.sigmas.double().numpy()
    levels = [flow.SIGMA_MAX if one == 1 else one / (1 - one) for one in shares]
    for share, t in zip(shares, theirs.timesteps, strict=False):
        z = theirs.step(torch.tensor(network(z.numpy(), 1000 * share)), t, z).prev_sample
    drawn = integrate(SOLVERS[solver].rule, _denoise(Schedule.flow(3.0)), start() * (1 + levels[0]), levels)
    np.testing.assert_allclose(drawn, z.numpy(), atol=2e-4)


def test_second_order_meets_that_of_diffusers_with_many_steps():
    # Heun's slopes are taken in sigma here, and in the noise's share there.
    schedule, apart = Schedule.flow(3.0), []
    for num_steps in (8, 64):
        theirs = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
        theirs.set_timesteps(num_steps)
        z = torch.tensor(start(), dtype=torch.float64)
        for t in theirs.timesteps:
            z = theirs.step(torch.tensor(network(z.numpy(), float(t))), t, z).prev_sample
        levels = grid(schedule, num_steps, "flow")
        drawn = integrate(SOLVERS["heun"].rule, _denoise(schedule), start() * levels[0], levels)
        apart.append(float(abs(drawn - z.numpy()).max()))
    assert apart[1] < 0.02
    assert apart[1] < apart[0] / 4


def test_flows_are_refused_where_they_are_none():
    with pytest.raises(RecipeError, match="flow matching"):
        grid(Schedule.create(), 4, "flow")
    for call in (lambda: target(0.0, 0.0, 0.5, "flow"), lambda: min_snr_weight(1.0, 5, "flow")):
        with pytest.raises(ValueError, match="not trained"):
            call()


@pytest.mark.parametrize(
    "change",
    [{"shift": 0}, {"shift": 1e9}, {"shift": "x"}, {"num_train_timesteps": 1}, {"use_dynamic_shifting": True},
     {"use_karras_sigmas": True}, {"shift_terminal": 0.02}],
    ids=str,
)  # fmt: skip
def test_what_makes_no_schedule_is_refused(change):
    with pytest.raises(ModelFileError):
        Schedule.from_diffusers_config({**CONFIG, **change})


def _denoise(schedule):
    def denoise(x, sigma):
        return to_x0(network(scale_in(x, sigma, "flow"), schedule.t_of(sigma)), x, sigma, "flow")

    return denoise
