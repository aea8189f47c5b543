"""THE denoising loop. There is no other in the package; what varies is in the denoiser, the solver and the
grid.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sfumato.engine.denoiser import Denoiser
from sfumato.errors import NumericalError
from sfumato.models.backends.base import Array
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.rules import NoiseSource
from sfumato.samplers.solvers import Solver


@dataclass(frozen=True, eq=False)
class Step:
    """One finished step, from noise level `sigma` to `sigma_next`.

    `before (B,C,h,w)` is the latent before the step, `x` the one after it and `x0` the guided clean
    prediction it used, all in variance-exploding coordinates; `t` is the network's timestep at `sigma`.
    `index` counts from 0.
    """

    index: int
    num_steps: int
    sigma: float
    sigma_next: float
    t: float
    before: Array
    x: Array
    x0: Array
    seconds: float


def denoise(
    denoiser: Denoiser, solver: Solver, sigmas: Sequence[float], x: Array, noise: NoiseSource, first: int = 0
) -> Generator[Step, None, None]:
    """Yield the steps that take `x (B,C,h,w)`, noisy at `sigmas[first]`, down to `sigmas[-1]`.

    Nothing outside the iterator changes, so it may be closed after any step. Raises NumericalError when a
    latent leaves the finite range, naming the step.
    """
    num_steps = len(sigmas) - 1
    state = solver.init()
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas[first:]), start=first):
        started, before = time.perf_counter(), x
        x, x0, state = solver.step(denoiser.at(index), x, sigma, sigma_next, state, noise)
        xp = array_namespace(x)
        if not bool(xp.all(xp.isfinite(x))):
            raise NumericalError(
                f"the latents stopped being finite at step {index + 1} of {num_steps} (sigma {sigma:.4g})",
                field="latents",
                hint=advice(
                    denoiser.backend.name,
                    "Lower the guidance; if it persists, see which weights are damaged: "
                    "sfumato models info MODEL --check",
                ),
            )
        seconds = time.perf_counter() - started
        t = denoiser.schedule.t_of(sigma)
        yield Step(index, num_steps, sigma, sigma_next, t, before, x, x0, seconds)


def advice(backend: str, otherwise: str) -> str:
    """Return what to do about numbers that are not finite in a backend of this name: more digits first, then
    `otherwise`.
    """
    if "float32" in backend:
        return otherwise
    return f"Use --precision f32 (SFUMATO_DTYPE=f32 does the same); if that does not help: {otherwise}"
