"""Every solver next to diffusers' scheduler of the same name: same network, same noise, 20 steps.

`PYTHONPATH=src:tests python -m samplers.parity` prints the table of relative errors in Markdown.
"""

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from sfumato.samplers.multistep import DPMpp3M
from sfumato.samplers.orders import integrate
from sfumato.samplers.rules import Rule
from sfumato.samplers.schedule import Schedule, grid, scale_in, to_x0
from sfumato.samplers.singlestep import DDIM, DPMpp2S, Euler
from sfumato.samplers.solvers import SOLVERS

STEPS = 20
SHAPE = (2, 4, 8, 8)
PREDICTIONS = {"eps": "epsilon", "v": "v_prediction"}
FLAGS = {"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas"}


@dataclass(frozen=True)
class Case:
    """One comparison. `own_grid`: our spacing and our sigma-to-timestep map; else diffusers' grid and
    timesteps."""

    solver: str
    scheduler: str
    spacing: str = "trailing"
    prediction: str = "eps"
    zero_snr: bool = False
    own_grid: bool = True
    rule: Rule | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    step: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        words = [self.solver, self.spacing, self.prediction]
        words += ["zero-snr"] if self.zero_snr else []
        words += [] if self.own_grid else ["given-grid"]
        words += [f"{key}={value}" for key, value in (self.settings | self.step).items()]
        return " ".join(words)


def cases() -> list[Case]:
    """Return every comparison of the table."""
    rows: list[Case] = []
    evens = ("leading", "trailing", "linspace")
    curves = ("karras", "exponential")
    for kind in ("eps", "v"):
        rows += [Case("euler", "EulerDiscrete", spacing, kind) for spacing in (*evens, *curves)]
        rows += [Case("lms", "LMSDiscrete", spacing, kind) for spacing in ("leading", "trailing", *curves)]
        rows += [Case("heun", "HeunDiscrete", spacing, kind) for spacing in ("leading", "trailing", *curves)]
        # diffusers keeps its tables in float32: its sigma_min is off by 4e-5, and these two make 1e-4 of it.
        rows.append(Case("heun", "HeunDiscrete", "linspace", kind, own_grid=False))
        rows.append(Case("lms", "LMSDiscrete", "linspace", kind, own_grid=False))
        # Our beta grid follows the paper, theirs takes quantiles of sigma: compared on theirs.
        rows.append(Case("euler", "EulerDiscrete", "beta", kind, own_grid=False))
        rows.append(Case("lms", "LMSDiscrete", "beta", kind, own_grid=False))
        rows += [Case("euler_a", "EulerAncestralDiscrete", spacing, kind) for spacing in evens]
        rows += [
            Case("ddim", "DDIM", spacing, kind, rule=DDIM(eta), step={"eta": eta})
            for eta in (0.0, 0.5, 1.0)
            for spacing in ("leading", "trailing")
        ]
        rows += [Case("dpmpp_sde", "DPMSolverSDE", spacing, kind) for spacing in ("linspace", *curves)]
        rows += _multistep(kind)
        # These classes take the upper n of n+1 points, and round timesteps: compared on their grids.
        rows += [
            replace(row, spacing=spacing, own_grid=False)
            for spacing in ("leading", "linspace", *curves, "beta")
            for row in _multistep(kind)
        ]
        pairs = Case(
            "dpmpp_2s_a", "DPMSolverSinglestep", "exponential", kind, own_grid=False, rule=DPMpp2S(0.0)
        )
        rows.append(replace(pairs, settings={"lower_order_final": True}))
        rows.append(Case("lcm", "LCM", "leading", kind, own_grid=False))
    zero = [Case("euler", "EulerDiscrete"), Case("euler_a", "EulerAncestralDiscrete"), Case("ddim", "DDIM")]
    zero += [*_multistep("v"), Case("lcm", "LCM", "leading", own_grid=False)]
    return rows + [replace(row, prediction="v", zero_snr=True) for row in zero]


def _multistep(prediction: str) -> list[Case]:
    name = "DPMSolverMultistep"
    third = {"solver_order": 3, "solver_type": "heun"}
    return [
        Case("dpmpp_2m", name, prediction=prediction),
        Case("dpmpp_2m_sde", name, prediction=prediction, settings={"algorithm_type": "sde-dpmsolver++"}),
        Case("dpmpp_3m_sde", name, prediction=prediction, rule=DPMpp3M(0.0), settings=third),
        Case("unipc", "UniPCMultistep", prediction=prediction),
    ]


def relative_error(case: Case) -> float:
    """Return the largest difference between the two final latents over the largest value of diffusers'."""
    scheduler = make_scheduler(case)
    schedule = Schedule.from_diffusers_config(dict(scheduler.config))
    levels = grid(schedule, STEPS, case.spacing) if case.own_grid else _given_levels(scheduler, schedule)
    network = make_network(schedule)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = noise * levels[0]
    theirs = _draw_theirs(case, scheduler, network, start, levels[0])
    timesteps = {} if case.own_grid else _given_timesteps(scheduler, levels)
    ours = _draw_ours(case, schedule, network, start, levels, timesteps)
    return float((ours - theirs).abs().max() / theirs.abs().max())


def make_scheduler(case: Case) -> Any:
    """Return diffusers' scheduler of the case, with its timesteps set."""
    with_spacing = (
        {FLAGS[case.spacing]: True} if case.spacing in FLAGS else {"timestep_spacing": case.spacing}
    )
    settings: dict[str, Any] = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "prediction_type": PREDICTIONS[case.prediction],
        **with_spacing,
        **case.settings,
    }
    if case.zero_snr:
        settings["rescale_betas_zero_snr"] = True
    if case.scheduler == "DDIM":
        settings["clip_sample"] = False
    scheduler = scheduler_class(case.scheduler)(**settings)
    scheduler.set_timesteps(STEPS)
    return scheduler


def scheduler_class(name: str) -> Any:
    """Return a diffusers scheduler class by its name without the "Scheduler"."""
    if name != "DPMSolverSDE":
        return getattr(importlib.import_module("diffusers"), f"{name}Scheduler")
    module = "diffusers.schedulers.scheduling_dpmsolver_sde"
    if module not in sys.modules and importlib.util.find_spec("torchsde") is None:
        # Only its default noise sampler needs torchsde, and the comparison brings its own noise.
        sys.modules["torchsde"] = types.ModuleType("torchsde")
        importlib.import_module(module)
        del sys.modules["torchsde"]
    return importlib.import_module(module).DPMSolverSDEScheduler


def make_network(schedule: Schedule) -> Callable[[torch.Tensor, float], torch.Tensor]:
    """Return a small non-linear network `(z, t) -> output` whose clean guess couples the channels and depends
    on t."""
    mix = torch.randn(4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def network(z: torch.Tensor, t: float) -> torch.Tensor:
        sigma = schedule.sigma_of(t)
        alpha = (1 + sigma * sigma) ** -0.5
        guess = torch.tanh(torch.einsum("dc,bchw->bdhw", mix, z) + 0.3 * np.sin(t / 100))
        if schedule.prediction == "eps":
            return (z - alpha * guess) / (sigma * alpha)
        return (alpha * z - guess) / (sigma * alpha)

    return network


def _draw_theirs(case: Case, scheduler: Any, network: Any, start: torch.Tensor, sigma: float) -> torch.Tensor:
    vp = case.scheduler in ("DDIM", "LCM", "DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep")
    x = start / (1 + sigma * sigma) ** 0.5 if vp else start
    options: dict[str, Any] = dict(case.step)
    if case.scheduler == "DPMSolverSDE":
        scheduler.noise_sampler = _noise()
    elif case.scheduler in ("EulerAncestralDiscrete", "LCM", "DDIM", "DPMSolverMultistep"):
        options["generator"] = torch.Generator().manual_seed(3)
    for t in scheduler.timesteps:
        out = network(scheduler.scale_model_input(x, t).double(), float(t))
        x = scheduler.step(out, t, x, **options).prev_sample.double()
    return x


def _draw_ours(
    case: Case,
    schedule: Schedule,
    network: Any,
    start: torch.Tensor,
    levels: Any,
    timesteps: dict[float, float],
) -> torch.Tensor:
    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        t = next((t for level, t in timesteps.items() if abs(level / sigma - 1) < 1e-5), schedule.t_of(sigma))
        return to_x0(network(scale_in(x, sigma, schedule.prediction), t), x, sigma, schedule.prediction)

    rule = SOLVERS[case.solver].rule if case.rule is None else case.rule
    if case.scheduler == "DPMSolverSinglestep":
        # Its pairs of grid points are our steps with a middle; its last two steps are of first order.
        middle = integrate(rule, denoise, start, levels[: STEPS - 1 : 2])
        return integrate(Euler(), denoise, middle, levels[STEPS - 2 :])
    # DPM-Solver draws its noise in float32 whatever the dtype, which is another stream.
    dtype = torch.float32 if case.scheduler == "DPMSolverMultistep" else torch.float64
    return integrate(rule, denoise, start, levels, _noise(dtype))


def _noise(dtype: torch.dtype = torch.float64) -> Callable[[Any, Any], torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return lambda sigma, sigma_next: torch.randn(SHAPE, generator=generator, dtype=dtype).double()


def _given_levels(scheduler: Any, schedule: Schedule) -> tuple[float, ...]:
    if "sigmas" in vars(scheduler):
        levels = [float(sigma) for sigma in scheduler.sigmas]
        return tuple(level for i, level in enumerate(levels) if i == 0 or level != levels[i - 1])
    return (*(float(schedule.sigmas[int(t)]) for t in scheduler.timesteps), 0.0)


def _given_timesteps(scheduler: Any, levels: tuple[float, ...]) -> dict[float, float]:
    times = [float(t) for t in scheduler.timesteps]
    if len(times) != STEPS:  # two evaluations a step: the odd entries are the second ones
        times = times[::2]
    return dict(zip(levels[:-1], times, strict=True))


def table() -> str:
    """Return the Markdown table of every case."""
    lines = [
        "| solver | diffusers | spacing | output | settings | relative error |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases():
        settings = ", ".join(f"{key}={value}" for key, value in (case.settings | case.step).items())
        spacing = case.spacing if case.own_grid else f"{case.spacing} (diffusers' grid)"
        output = f"{case.prediction}, zero terminal SNR" if case.zero_snr else case.prediction
        row = (
            case.solver,
            f"{case.scheduler}Scheduler",
            spacing,
            output,
            settings,
            f"{relative_error(case):.1e}",
        )
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
