"""How fast each solver converges, measured on a problem whose exact solution is known.

The data are a mixture of two normal distributions on a line. Its denoiser has a closed form, and so has the
flow: on a line, the probability flow keeps every point at its quantile, so x at one noise level and x at
another have the same value of their distribution functions. No torch, no weights; the whole table takes a
fraction of a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from sfumato.samplers.multistep import DPMpp2M, DPMpp3M
from sfumato.samplers.rules import Denoise, NoiseSource, Rule
from sfumato.samplers.schedule import Array
from sfumato.samplers.singlestep import DDIM, DPMpp2S, DPMppSDE, Euler
from sfumato.samplers.solvers import SOLVERS, Solver

# Between these levels all the shape of the data appears; the last step to zero noise is left out, because it
# is first order for every solver by design (its result is the denoised latent).
SIGMA_START, SIGMA_END = 100.0, 0.1
STEPS = (32, 64, 128)


@dataclass(frozen=True)
class Mixture:
    """Normal distributions on a line: `weights`, `means`, `stds`, each of the same length; weights sum to
    one."""

    weights: tuple[float, ...] = (0.35, 0.65)
    means: tuple[float, ...] = (-1.0, 0.8)
    stds: tuple[float, ...] = (0.4, 0.3)

    def denoise(self, x: Array, sigma: float) -> Array:
        """Return E[x0 | x0 + sigma n = x], elementwise: each component's posterior mean, by its posterior
        weight."""
        x = np.asarray(x)
        variances = [std * std + sigma * sigma for std in self.stds]
        # log weights relative to the largest, so that points far out do not underflow
        logs = np.stack(
            [
                math.log(w) - 0.5 * math.log(v) - (x - m) ** 2 / (2 * v)
                for w, m, v in zip(self.weights, self.means, variances, strict=True)
            ]
        )
        shares = np.exp(logs - logs.max(axis=0))
        shares /= shares.sum(axis=0)
        means = [
            m + (x - m) * (std * std / v) for m, std, v in zip(self.means, self.stds, variances, strict=True)
        ]
        return sum(share * mean for share, mean in zip(shares, means, strict=True))

    def cdf(self, x: float, sigma: float) -> float:
        """Return P(x0 + sigma n <= x)."""
        return sum(
            w * 0.5 * math.erfc((m - x) / math.sqrt(2 * (std * std + sigma * sigma)))
            for w, m, std in zip(self.weights, self.means, self.stds, strict=True)
        )

    def quantile(self, p: float, sigma: float) -> float:
        """Return x with `cdf(x, sigma) = p`, for p in (0, 1), by bisection to the last bit."""
        reach = 40 * (max(self.stds) + sigma)
        low, high = min(self.means) - reach, max(self.means) + reach
        while True:
            middle = (low + high) / 2
            if middle in (low, high):
                return middle
            low, high = (middle, high) if self.cdf(middle, sigma) < p else (low, middle)

    def flow(self, x: float, sigma: float, sigma_next: float) -> float:
        """Return where the probability flow takes `x` from noise level `sigma` to `sigma_next`."""
        return self.quantile(self.cdf(x, sigma), sigma_next)


@dataclass(frozen=True)
class Order:
    """One row of the table.

    `errors` are the largest errors at `SIGMA_END` over the quantiles for `STEPS` steps; `measured` is the
    slope log2(error(n) / error(2n)) of the last pair; `expected` what the literature or the docstring says.
    For lcm both are None, and `errors` are those of drawing with a consistency model, which should be
    rounding.
    """

    name: str
    label: str
    evaluations: int
    expected: int | None
    measured: float | None
    errors: tuple[float, ...]


def noise_off(rule: Rule) -> Rule:
    """Return the rule with `eta = 0`: the solver of the ordinary differential equation that it becomes."""
    if isinstance(rule, Euler | DDIM | DPMpp2S | DPMppSDE | DPMpp2M | DPMpp3M):
        return replace(rule, eta=0.0)
    return rule


def measure_orders(mixture: Mixture | None = None) -> tuple[Order, ...]:
    """Return one row per solver in `SOLVERS`, in its order. Stochastic solvers run with `eta = 0`."""
    data = Mixture() if mixture is None else mixture
    return tuple(_measure(solver, data) for solver in SOLVERS.values())


def order_of(rule: Rule, mixture: Mixture) -> tuple[float, tuple[float, ...]]:
    """Return the measured order of a rule and its errors for `STEPS`."""
    quantiles = np.linspace(0.05, 0.95, 10)
    start = np.asarray([mixture.quantile(float(p), SIGMA_START) for p in quantiles])
    exact = np.asarray([mixture.quantile(float(p), SIGMA_END) for p in quantiles])
    errors = tuple(
        float(np.abs(integrate(rule, mixture.denoise, start, exponential_grid(n)) - exact).max())
        for n in STEPS
    )
    return math.log2(errors[-2] / errors[-1]), errors


def exponential_grid(num_steps: int) -> tuple[float, ...]:
    """Return `num_steps + 1` levels from `SIGMA_START` to `SIGMA_END`, even in log sigma."""
    ratio = SIGMA_END / SIGMA_START
    return tuple(SIGMA_START * ratio ** (i / num_steps) for i in range(num_steps + 1))


def integrate(
    rule: Rule,
    denoise: Denoise,
    x: Array,
    levels: Sequence[float],
    noise: NoiseSource | None = None,
) -> Array:
    """Return `x` after the rule's steps along `levels`: a plain fold, for measuring a rule on its own.

    Pictures are drawn by `engine/loop.py`, which shows every step and can be stopped. `noise` may be None for
    rules that never ask for any; they raise ValueError if they do.
    """
    source = _no_noise if noise is None else noise

    def advance(at: tuple[Array, Any], pair: tuple[float, float]) -> tuple[Array, Any]:
        x, _, state = rule.step(denoise, at[0], pair[0], pair[1], at[1], source)
        return x, state

    return reduce(advance, pairwise(levels), (x, rule.init()))[0]


def _measure(solver: Solver, mixture: Mixture) -> Order:
    if solver.order is None:
        errors = tuple(_consistency_error(solver.rule, mixture, n) for n in STEPS)
        return Order(solver.name, solver.label, solver.evaluations, None, None, errors)
    measured, errors = order_of(noise_off(solver.rule), mixture)
    return Order(solver.name, solver.label, solver.evaluations, solver.order, measured, errors)


def _consistency_error(rule: Rule, mixture: Mixture, num_steps: int) -> float:
    """Return how far a draw with an exact consistency function is from the quantiles it must land on.

    The noise is chosen as the one that keeps a point at its quantile; then every step must, and so must the
    end.
    """
    quantiles = (0.1, 0.5, 0.9)

    def end_of_flow(x: Array, sigma: float) -> Array:
        return np.asarray([mixture.flow(float(value), sigma, 0.0) for value in x])

    def steady(sigma: float, sigma_next: float) -> Array:
        clean = [mixture.quantile(p, 0.0) for p in quantiles]
        return np.asarray(
            [
                (mixture.quantile(p, sigma_next) - c) / sigma_next
                for p, c in zip(quantiles, clean, strict=True)
            ]
        )

    start = np.asarray([mixture.quantile(p, SIGMA_START) for p in quantiles])
    levels = (*exponential_grid(num_steps // 16), 0.0)
    end = integrate(rule, end_of_flow, start, levels, steady)
    return float(np.abs(end - [mixture.quantile(p, 0.0) for p in quantiles]).max())


def _no_noise(sigma: float, sigma_next: float, /) -> Array:
    raise ValueError("this rule was said to need no noise")
