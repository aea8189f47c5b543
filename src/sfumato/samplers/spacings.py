"""Sigma grids: where on a schedule a drawing of n steps evaluates the network.

Each spacing is a pure function of the schedule's sigma table. The network sees a sigma through
`Schedule.t_of`, so a grid is free to fall between two training timesteps. Where programs disagree about a
name, the docstring says which definition is taken here and why.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

KARRAS_RHO = 7.0
BETA_SHAPE = 0.6
LCM_TRAINED = 50  # timesteps of latent consistency models as published
# Timesteps of the 10-step Stable Diffusion 1.5 schedule, and its end at sigma_min.
AYS_TIMESTEPS = (999.0, 850.0, 736.0, 645.0, 545.0, 455.0, 343.0, 233.0, 124.0, 24.0, 0.0)


@dataclass(frozen=True)
class Spacing:
    """One row of `SPACINGS`.

    `sigmas(table, num_steps, steps_offset)` returns the `num_steps` levels a solver leaves from, highest
    first, without the final zero; `table` is `(N,)` rising sigmas: of the training timesteps, or, when
    `measured`, the model's own knots (`Schedule.entropic`). `label` is the schedule type as A1111 writes it,
    or our own where A1111 has none. `flow` ones are for tables of flow matching alone.
    """

    name: str
    label: str
    about: str
    sigmas: Callable[[Floats, int, int], Floats]
    measured: bool = False
    flow: bool = False


def sigma_at(table: Floats, t: float | Floats) -> Floats:
    """Return sigma at the fractional timestep(s) `t` in [0, N-1]: log sigma is linear between neighbours
    (k-diffusion)."""
    return np.exp(np.interp(t, np.arange(len(table)), np.log(table)))


def leading(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """Every (N // n)-th timestep from `steps_offset` up: DDIM's original choice, which never visits the
    noisiest timestep.

    Lin et al. 2023 (arXiv 2305.08891) Table 2 "leading".
    """
    t = np.arange(num_steps)[::-1] * (len(table) // num_steps)
    return table[t + min(steps_offset, len(table) - 1 - int(t[0]))]


def trailing(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """Evenly spaced timesteps that end at N-1, so that the first step sees pure noise. Lin et al. 2023, Table
    2 "trailing"."""
    # arange, not linspace: halves must round to the same integers as in diffusers.
    t = np.arange(len(table), 0, -len(table) / num_steps)[:num_steps].round().astype(int) - 1
    return table[np.maximum(t, 0)]


def lcm(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """n of the timesteps that latent consistency models were trained on: every (N // 50)-th, from N-1 down in
    even strides. Luo et al. 2023 (arXiv 2310.04378) Section 4.3; as diffusers' LCMScheduler with its default
    of 50.

    More steps than 50 are spaced as `trailing` does.
    """
    if num_steps > LCM_TRAINED or len(table) < LCM_TRAINED:
        return trailing(table, num_steps, steps_offset)
    t = np.arange(LCM_TRAINED, 0, -1) * (len(table) // LCM_TRAINED) - 1
    return table[t[np.floor(np.linspace(0, LCM_TRAINED, num_steps, endpoint=False)).astype(int)]]


def linspace(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """n fractional timesteps from N-1 down to 0, both included. Lin et al. 2023, Table 2 "linspace"; A1111
    "Uniform".

    Between two timesteps sigma itself is interpolated, as diffusers' Euler, Heun and LMS do. k-diffusion
    interpolates log sigma (a relative difference of 3e-6), and diffusers' DDIM, DPM-Solver and UniPC round
    the timesteps, the last two of n+1 points.
    """
    return np.interp(np.linspace(len(table) - 1, 0, num_steps), np.arange(len(table)), table)


def karras(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """sigma^(1/rho) evenly spaced, rho = 7. Karras et al. 2022 (arXiv 2206.00364) Eq. 5, between the ends of
    the table."""
    high, low = table[-1] ** (1 / KARRAS_RHO), table[0] ** (1 / KARRAS_RHO)
    return np.linspace(high, low, num_steps, dtype=np.float64) ** KARRAS_RHO


def exponential(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """log sigma evenly spaced between the ends of the table: k-diffusion's `get_sigmas_exponential`."""
    return np.exp(np.linspace(math.log(table[-1]), math.log(table[0]), num_steps, dtype=np.float64))


def sgm_uniform(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """n+1 fractional timesteps from N-1 to 0 without the last: the last step jumps from above sigma_min to 0
    (Stability's sgm)."""
    return sigma_at(table, np.linspace(len(table) - 1, 0, num_steps + 1)[:-1])


def beta(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """Timesteps at evenly spaced quantiles of Beta(0.6, 0.6): more steps at both ends. Lee et al. 2024 (arXiv
    2407.12173).

    The quantiles are of the timestep, as in the paper and ComfyUI. diffusers and A1111 take them of sigma,
    which puts nearly all steps above sigma 1, and with a zero terminal SNR (sigma_max 4096) leaves no usable
    grid.
    """
    quantiles = [beta_quantile(1 - i / num_steps, BETA_SHAPE) for i in range(num_steps)]
    return sigma_at(table, (len(table) - 1) * np.asarray(quantiles))


def align_your_steps(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """The 10 optimised steps of Sabour et al. 2024 (arXiv 2404.14507) for SD 1.5, log-linearly resampled to n
    steps.

    The published timesteps are taken rather than the published sigmas: for SD 1.5 they agree, and they carry
    over to a schedule with another sigma_max.
    """
    t = np.asarray(AYS_TIMESTEPS) * ((len(table) - 1) / AYS_TIMESTEPS[0])
    places = np.linspace(0, len(t) - 1, num_steps + 1)[:-1]
    return np.exp(np.interp(places, np.arange(len(t)), np.log(sigma_at(table, t))))


def entropic(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """Steps that each remove an equal share of the conditional entropy H[x0 | x_sigma], weighted with sigma:
    rescaled entropic time, Stancevic et al. 2025 (arXiv 2504.13612).

    `table` are sigmas at equal shares, as `sfumato.evaluation.entropy` measures them; between two of them log
    sigma is linear. The last step goes from above the lowest to 0.
    """
    return sgm_uniform(table, num_steps, steps_offset)


def flow(table: Floats, num_steps: int, steps_offset: int) -> Floats:
    """The noise's share s even from 1 to the lowest that was trained, and then shifted (Esser et al. 2024,
    arXiv 2403.03206, Equation 23), as diffusers' FlowMatchEulerDiscreteScheduler does: its lowest share is
    shifted twice, so the last step leaves from a little above the lowest level.

    `table` is that of `Schedule.flow`: with u even in training timesteps sigma is `shift u / (1 - u)`.
    """
    shift = table[0] * (len(table) - 1)
    u: Floats = np.linspace(1, table[0] / (1 + table[0]), num_steps, dtype=np.float64)
    return np.append(table[-1], shift * u[1:] / (1 - u[1:]))


def beta_quantile(p: float, shape: float) -> float:
    """Return x with I_x(shape, shape) = p, for p in [0, 1] and 0 < shape < 1. Absolute error below 1e-12.

    The density is symmetric, so only p <= 1/2 is solved. There x^shape / shape times a fast series (DLMF
    8.17.7 with 15.2.1) is the incomplete beta function, and Newton in log x converges from the leading term.
    """
    if p > 0.5:
        return 1.0 - beta_quantile(1.0 - p, shape)
    if p <= 0.0:
        return 0.0
    log_complete = 2 * math.lgamma(shape) - math.lgamma(2 * shape)
    wanted = math.log(p) + log_complete
    y = min((wanted + math.log(shape)) / shape, math.log(0.5))
    for _ in range(50):
        x = math.exp(y)
        # sum over k of (1 - shape)_k / k! * x^k / (shape + k): x <= 1/2, so 60 terms reach 1e-18
        term, total = 1.0, 1.0 / shape
        for k in range(1, 61):
            term *= (k - shape) / k * x
            total += term / (shape + k)
        log_value = shape * y + math.log(total)
        slope = math.exp(shape * y + (shape - 1) * math.log1p(-x) - log_value)
        change = (log_value - wanted) / slope
        y = min(y - change, math.log(0.5))
        if abs(change) < 1e-14:
            break
    return math.exp(y)


SPACINGS: Mapping[str, Spacing] = MappingProxyType(
    {
        row.name: row
        for row in (
            Spacing("leading", "DDIM", "every (N // n)-th training step from the clean end", leading),
            Spacing("trailing", "Trailing", "even training steps that begin at pure noise", trailing),
            Spacing("lcm", "LCM", "as latent consistency models were trained", lcm),
            Spacing("linspace", "Uniform", "even training steps, both ends included", linspace),
            Spacing("karras", "Karras", "rho = 7: many steps at low noise", karras),
            Spacing("exponential", "Exponential", "even in log sigma", exponential),
            Spacing("sgm_uniform", "SGM Uniform", "even training steps, the lowest left out", sgm_uniform),
            Spacing("beta", "Beta", "more steps at both ends", beta),
            Spacing("ays", "Align Your Steps", "optimised for few steps (SD 1.5)", align_your_steps),
            Spacing("entropic", "Entropic", "equal shares of the model's entropy", entropic, measured=True),
            Spacing("flow", "Flow", "even shares of noise, for Stable Diffusion 3", flow, flow=True),
        )
    }
)
