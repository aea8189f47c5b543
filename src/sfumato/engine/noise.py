"""The noise of a batch: what its pictures begin with, and what solvers put back on the way."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sfumato.models.bundle import ModelBundle
from sfumato.recipe.image import Resolved
from sfumato.samplers.noise import BrownianNoise, FreshNoise, Generator, between, picture_noise
from sfumato.samplers.rules import NoiseSource
from sfumato.samplers.solvers import Solver


def picture_seeds(resolved: Resolved, batch: Sequence[int]) -> tuple[int, ...]:
    """Return the seed of each picture of `batch`: that of the run and its index; variations share one."""
    return tuple(resolved.seed + (0 if resolved.variation is not None else index) for index in batch)


def starting_noise(
    resolved: Resolved, batch: Sequence[int], generators: Sequence[Generator], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return standard noise `(B,C,h,w)`, first out of each picture's generator; a variation's is turned
    towards that of its own seed. `shape` is `(C,h,w)`.
    """
    noise = [generator.randn(shape) for generator in generators]
    variation = resolved.variation
    if variation is not None:
        others = [picture_noise(variation.seed, index).randn(shape) for index in batch]
        noise = [between(a, b, variation.strength) for a, b in zip(noise, others, strict=True)]
    return np.stack(noise)


def noise_source(
    solver: Solver,
    bundle: ModelBundle,
    seeds: tuple[int, ...],
    generators: tuple[Generator, ...],
    shape: tuple[int, ...],
) -> NoiseSource:
    """Return what `solver` takes its noise from, for pictures with these `seeds` and `generators`."""
    if solver.noise == "brownian":
        schedule = bundle.schedule
        return BrownianNoise(seeds, shape, schedule.sigma_min, schedule.sigma_max, bundle.backend.asarray)
    return FreshNoise(generators, shape, bundle.backend.asarray)
