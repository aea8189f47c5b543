"""Where on the noise scale a model decides what a picture becomes: its own entropy rate.

With `x = x0 + sigma n`, the conditional entropy of the clean latent obeys `dH[x0 | x] / d(ln sigma) =
E |x0 - E[x0 | x]|^2 / sigma^2`, summed over the latent's dimensions: the I-MMSE relation of Guo, Shamai and
Verdu 2005 (arXiv cs/0412108), in the variable ln sigma. That is the squared error of the predicted noise, and
a trained network stands in for the best prediction.

Noise levels at equal shares of H make steps that decide equally much: the entropic time of Stancevic et al.
2025 (arXiv 2504.13612). In a continuous latent most of H is the finest detail, which nobody sees, so they
rescale it: the rate is weighted with sigma. That is what the spacing "entropic" takes here.
"""

import json
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.imaging.writing import write_file
from sfumato.models.backends.base import Array, Backend
from sfumato.models.bundle import ModelBundle
from sfumato.models.defaults import ENTROPIC_SIGMAS
from sfumato.models.network_files import read_json
from sfumato.models.text import encode_equal_length, tokenise
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import scale_in, to_x0
from sfumato.scenes.scene import SceneMix, example

NUM_SCENES: Final = 64
NUM_LEVELS: Final = 48
NUM_KNOTS: Final = 129
SEED: Final = 4  # a stream of scenes that no recipe of the bundled model trains on
_BATCH: Final = 8  # what one call of the network gets at most
_DIGITS: Final = 6
_FINE: Final = 100  # points of the integral between two levels

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EntropyRate:
    """`rates (K,)`: dH/d(ln sigma) in nats at the rising noise `levels (K,)`, with standard errors `errors
    (K,)`, from `num_scenes` scenes of `dimensions` latent numbers each. Pure noise would give `dimensions`.
    """

    levels: Floats
    rates: Floats
    errors: Floats
    num_scenes: int
    dimensions: int


@dataclass(frozen=True)
class LevelMeasured:
    """One of `total` noise levels was measured: number `finished`."""

    finished: int
    total: int


def measure_rate(
    bundle: ModelBundle,
    font: Path,
    *,
    num_scenes: int = NUM_SCENES,
    num_levels: int = NUM_LEVELS,
    seed: int = SEED,
) -> Generator[LevelMeasured, None, EntropyRate]:
    """Measure the entropy rate of a model on captioned scenes of its usual size, rendered with `font`.

    Every level, even in ln sigma from the model's lowest to its highest, sees the same scenes with the same
    noise. Yields after each, and returns the rates. Raises InputError for fewer than 2 scenes or levels.
    """
    if num_scenes < 2 or num_levels < 2:
        raise InputError("an entropy rate needs two scenes and two levels", field="entropy")
    latents, context = _scenes(bundle, font, num_scenes, seed)
    shape = tuple(int(side) for side in latents.shape)
    noise = bundle.backend.asarray(
        np.random.default_rng([seed, num_scenes, 203]).standard_normal(shape).astype(np.float32)
    )
    ends = math.log(bundle.schedule.sigma_min), math.log(bundle.schedule.sigma_max)
    levels = np.exp(np.linspace(*ends, num_levels))
    rates: list[float] = []
    errors: list[float] = []
    for level in levels.tolist():
        predicted = _predicted(bundle, latents + noise * level, level, context)
        squared = bundle.backend.to_numpy((predicted - latents) / level).astype(np.float64) ** 2
        each = squared.reshape(num_scenes, -1).sum(axis=1)
        rates.append(float(each.mean()))
        errors.append(float(each.std(ddof=1)) / math.sqrt(num_scenes))
        yield LevelMeasured(len(rates), num_levels)
    return EntropyRate(levels, np.array(rates), np.array(errors), num_scenes, math.prod(shape[1:]))


def entropic_sigmas(
    rate: EntropyRate, num_knots: int = NUM_KNOTS, *, rescaled: bool = True
) -> tuple[float, ...]:
    """Return `num_knots` rising sigmas from the lowest level to the highest, what `Schedule.entropic` takes:
    at equal shares of the entropy weighted with sigma, or, not `rescaled`, of the entropy itself. Raises
    ValueError for a rate that is not positive somewhere.
    """
    if not np.all(rate.rates > 0):
        raise ValueError("an entropy rate must be positive")
    places = np.log(rate.levels)
    # The logarithm of a rate is nearly straight between two levels; the rate itself is not.
    fine = np.linspace(places[0], places[-1], _FINE * len(places))
    heights = np.exp(np.interp(fine, places, np.log(rate.rates)) + (fine if rescaled else 0))
    pieces = (heights[1:] + heights[:-1]) / 2 * np.diff(fine)
    reached = np.concatenate([[0.0], np.cumsum(pieces)])
    knots = np.exp(np.interp(np.linspace(0, reached[-1], num_knots), reached, fine))
    knots[[0, -1]] = rate.levels[[0, -1]]
    return tuple(float(f"{knot:.{_DIGITS}g}") for knot in knots.tolist())


def store_sigmas(folder: Path, knots: Sequence[float]) -> None:
    """Write knots into the `sfumato.json` of the model in `folder`. Raises ModelFileError and OutputError."""
    path = folder / "sfumato.json"
    known = dict(read_json(folder, "sfumato.json")) if path.is_file() else {}
    text = json.dumps({**known, ENTROPIC_SIGMAS: "KNOTS"}, indent=2)
    # A number a line would make the file unreadable.
    write_file(path, text.replace('"KNOTS"', json.dumps(list(knots))).encode() + b"\n")


def _scenes(bundle: ModelBundle, font: Path, num_scenes: int, seed: int) -> tuple[Array, Array]:
    """Return latents `(N,C,h,w)` and contexts `(N,T,D)` of captioned scenes."""
    side = min(bundle.defaults.width, bundle.defaults.height)
    backend = bundle.backend
    latents: list[NDArray[np.float32]] = []
    captions: list[str] = []
    for index in range(num_scenes):
        picture, text, _ = example(seed, index, SceneMix(), font, side)
        pixels = np.moveaxis(np.asarray(picture, np.float32) / np.float32(127.5) - 1, -1, 0)
        latents.append(backend.to_numpy(backend.encode_image(np.ascontiguousarray(pixels[None]))))
        captions.append(text)
    tokens = [tokenise(bundle.tokenizer, (((text, 1.0),),)) for text in captions]
    contexts = encode_equal_length(backend, bundle.tokenizer, tokens)
    xp = array_namespace(contexts[0])
    return backend.asarray(np.concatenate(latents)), xp.concat(contexts, axis=0)


def _predicted(bundle: ModelBundle, x: Array, level: float, context: Array) -> Array:
    """Return the clean prediction `(N,C,h,w)` at noise level `level`, a batch at a time."""
    backend: Backend = bundle.backend
    size = min(_BATCH, backend.max_rows(*x.shape[2:]))
    t = bundle.schedule.t_of(level)
    scaled = scale_in(x, level, bundle.schedule.prediction)
    outputs = [
        backend.predict(scaled[begin : begin + size], t, context[begin : begin + size])
        for begin in range(0, x.shape[0], size)
    ]
    output = array_namespace(x).concat(outputs, axis=0)
    return to_x0(output, x, level, bundle.schedule.prediction)
