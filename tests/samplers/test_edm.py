"""EDM in the solvers' coordinates, against diffusers' preconditioning."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EDMDPMSolverMultistepScheduler

from sfumato.errors import ModelFileError
from sfumato.samplers.edm import Edm, read_config, sigma_of, timestep_of
from sfumato.samplers.schedule import Schedule, grid, scale_in, target, to_x0

NAME = {"_class_name": "EDMDPMSolverMultistepScheduler"}
PLAYGROUND = {**NAME, "sigma_data": 0.5, "sigma_min": 0.002, "sigma_max": 80.0}
COSXL = {
    **NAME,
    "_class_name": "EDMEulerScheduler",
    "sigma_data": 1.0,
    "sigma_max": 120.0,
    "prediction_type": "v_prediction",
}


@pytest.mark.parametrize("config", [PLAYGROUND, COSXL], ids=["playground", "cosxl"])
@pytest.mark.parametrize("sigma", [0.002, 0.3, 1.0, 17.0, 80.0])
def test_input_output_and_timestep_are_those_of_diffusers(config: dict[str, Any], sigma: float) -> None:
    plain = {key: value for key, value in config.items() if key != "_class_name"}
    theirs = EDMDPMSolverMultistepScheduler(**plain)
    ours, data = Schedule.from_diffusers_config(config), config["sigma_data"]
    random = np.random.default_rng(0)
    x, out = (torch.from_numpy(random.standard_normal((1, 4, 3, 3))) for _ in range(2))
    unit, level = x / data, sigma / data
    assert torch.allclose(
        scale_in(unit, level, ours.prediction), theirs.precondition_inputs(x, sigma), rtol=1e-5
    )
    assert ours.t_of(level) == pytest.approx(float(theirs.precondition_noise(sigma)), abs=1e-6)
    assert ours.sigma_of(ours.t_of(level)) == pytest.approx(level, rel=1e-9)
    expected = theirs.precondition_outputs(x, out, torch.tensor(sigma, dtype=torch.float64))
    assert torch.allclose(to_x0(out, unit, level, ours.prediction) * data, expected, rtol=1e-6)


def test_karras_levels_are_those_of_diffusers() -> None:
    theirs = EDMDPMSolverMultistepScheduler(sigma_data=0.5)
    theirs.set_timesteps(12)
    ours = np.array(grid(Schedule.from_diffusers_config(PLAYGROUND), 12, "karras")) * 0.5
    np.testing.assert_allclose(ours, theirs.sigmas.numpy(), rtol=2e-5)


def test_what_is_left_out_is_as_in_diffusers() -> None:
    assert read_config(NAME) == Edm(0.002, 80.0, 0.5, "edm")


def test_timesteps_go_both_ways() -> None:
    assert sigma_of(timestep_of(3.0, 0.5), 0.5) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"prediction_type": "sample"},
        {"sigma_min": 0},
        {"sigma_max": 0.001},
        {"sigma_max": "inf"},
        {"sigma_max": 1e30},
        {"sigma_data": -1},
        {"sigma_data": "much"},
        {"sigma_min": None},
    ],
)
def test_what_makes_no_levels_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError):
        Schedule.from_diffusers_config({**PLAYGROUND, **changes})


def test_it_is_not_trained() -> None:
    with pytest.raises(ValueError, match="not trained"):
        target(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1)), 0.5, "edm")
