from dataclasses import replace

import diffusers
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sfumato.samplers.schedule import Schedule, grid
from sfumato.samplers.spacings import SPACINGS, beta_quantile

# diffusers 0.42 builds its grids with a call that numpy 2 warns about
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def measured(schedule: Schedule) -> Schedule:
    """Return a schedule with knots that lie close together in the middle."""
    ends = np.log([schedule.sigma_min, schedule.sigma_max])
    places = np.interp(np.linspace(-1, 1, 65) ** 3, [-1, 1], ends)
    return replace(schedule, entropic=tuple(np.exp(places).tolist()))


SCHEDULES = {
    "sd": measured(Schedule.create(steps_offset=1)),
    "zero snr": measured(Schedule.create(prediction="v", zero_terminal_snr=True)),
    "cosine": measured(Schedule.create("cosine")),
    "short": measured(Schedule.create(num_train_timesteps=40)),
    "flow": measured(Schedule.flow(3.0)),
}


@given(st.sampled_from(sorted(SPACINGS)), st.sampled_from(sorted(SCHEDULES)), st.integers(1, 1000))
def test_every_grid_falls_from_the_table_to_zero(spacing: str, name: str, num_steps: int) -> None:
    schedule = SCHEDULES["flow" if SPACINGS[spacing].flow else name]
    num_steps = min(num_steps, len(schedule.sigmas))
    levels = np.array(grid(schedule, num_steps, spacing))
    assert len(levels) == num_steps + 1
    assert levels[-1] == 0
    assert (np.diff(levels) < 0).all()
    assert levels[0] <= schedule.sigma_max * (1 + 1e-12)
    assert levels[-2] >= schedule.sigma_min * (1 - 1e-12)
    if spacing != "leading":
        assert levels[0] == pytest.approx(schedule.sigma_max)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace", "karras", "exponential"])
def test_grids_are_those_of_diffusers(spacing: str) -> None:
    flags = {"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas"}
    with_spacing = {flags[spacing]: True} if spacing in flags else {"timestep_spacing": spacing}
    theirs = diffusers.EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, **with_spacing
    )
    schedule = SCHEDULES["sd"]
    for num_steps in (2, 3, 4, 7, 10, 15, 20, 25, 28, 30, 37, 50, 64, 100, 333, 999):
        theirs.set_timesteps(num_steps)
        levels = grid(schedule, num_steps, spacing)
        np.testing.assert_allclose(levels, theirs.sigmas.numpy(), rtol=1e-4)
        times = [schedule.t_of(sigma) for sigma in levels[:-1]]
        # theirs comes from float32 tables, in which neighbouring sigmas near t = 0 are 100 times their error
        # apart
        np.testing.assert_allclose(times, theirs.timesteps.numpy(), atol=0.02)
        if spacing in ("leading", "trailing"):
            np.testing.assert_array_equal(times, theirs.timesteps.numpy())


def test_lcm_takes_the_timesteps_of_diffusers_for_as_many_as_were_trained() -> None:
    schedule, theirs = SCHEDULES["sd"], diffusers.LCMScheduler()
    for num_steps in (1, 2, 3, 4, 5, 7, 8, 13, 25, 33, 50):
        theirs.set_timesteps(num_steps)
        times = [schedule.t_of(sigma) for sigma in grid(schedule, num_steps, "lcm")[:-1]]
        np.testing.assert_array_equal(times, theirs.timesteps.numpy())
    assert grid(schedule, 51, "lcm") == grid(schedule, 51, "trailing")


def test_sgm_uniform_is_the_upper_part_of_n_plus_one_points() -> None:
    schedule = SCHEDULES["sd"]
    times = [schedule.t_of(sigma) for sigma in grid(schedule, 9, "sgm_uniform")[:-1]]
    np.testing.assert_allclose(times, np.arange(9, 0, -1) * 111, atol=1e-5)


def test_beta_takes_quantiles_of_the_timestep() -> None:
    schedule = SCHEDULES["sd"]
    times = [schedule.t_of(sigma) for sigma in grid(schedule, 20, "beta")[:-1]]
    wanted = 999 * scipy.stats.beta.ppf(1 - np.arange(20) / 20, 0.6, 0.6)
    np.testing.assert_allclose(times, wanted, atol=1e-5)


@given(st.floats(0, 1), st.floats(0.05, 0.95))
def test_beta_quantile(p: float, shape: float) -> None:
    assert beta_quantile(p, shape) == pytest.approx(scipy.stats.beta.ppf(p, shape, shape), abs=1e-9)


def test_align_your_steps_is_the_published_schedule() -> None:
    published = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.0]
    np.testing.assert_allclose(grid(SCHEDULES["sd"], 10, "ays"), published, rtol=4e-3)
    # any other number of steps lies on the same curve
    twice = grid(SCHEDULES["sd"], 20, "ays")
    np.testing.assert_allclose(twice[::2], grid(SCHEDULES["sd"], 10, "ays"), rtol=1e-12)


def test_entropic_steps_take_equal_shares_of_the_knots() -> None:
    schedule = SCHEDULES["zero snr"]
    knots = np.array(schedule.entropic)
    np.testing.assert_allclose(grid(schedule, 16, "entropic")[:-1], knots[:0:-4], rtol=1e-12)
    # Between two knots the logarithm is linear.
    assert grid(schedule, 128, "entropic")[1] == pytest.approx(np.sqrt(knots[-1] * knots[-2]))
