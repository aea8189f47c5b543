"""What each step of a run did, in numbers that a person can read off a plot.

Of all distributions with the same variance the normal one has the largest differential entropy: 1.4189 nats a
dimension at variance one. So the variances of a latent bound its entropy, and the covariance of its channels
bounds it closer. Drawing begins at that maximum, with noise, and gives entropy up; a latent that on the way
rises above its beginning and its end has a wrong scale, or too much guidance. Nothing here says that a model
or a picture has the most entropy.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from io import StringIO
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.plan import Guided
from sfumato.engine.seeing import Look, unit_variance
from sfumato.models.backends.base import Array
from sfumato.recipe.image import Resolved
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import to_x0

#: The entropy of a normal distribution of variance one, in nats a dimension: 1/2 ln(2 pi e).
GAUSSIAN: Final = 0.5 * math.log(2 * math.pi * math.e)
TRACE_VERSION: Final = 1
_HALF_A_BYTE: Final = 1 / 255  # of pixels in [-1, 1]: what rounds to a byte outside 0..255


@dataclass(frozen=True)
class TraceRow:
    """One step of the picture `index`, from noise level `sigma` to `sigma_next` in `seconds` (of its whole
    batch); `t` is the network's timestep at `sigma`.

    `mean` and `variance` are of each channel of the latent after the step, scaled to preserve variance,
    `x / sqrt(1 + sigma_next^2)`. `entropy` is the largest a latent with these variances can have, in nats a
    dimension, `entropy_joint` the largest with this covariance of its channels; None when there are too few
    places to tell, or a channel does not vary. `x0_std` is the standard deviation of the clean prediction,
    `inflation` its ratio to that at guidance one before anything corrects it, where it was gauged. `clipped`
    is the share of colour values of the clean prediction's preview outside the scale, `not_finite` how many
    numbers of the prediction are not finite.
    """

    index: int
    step: int
    num_steps: int
    sigma: float
    sigma_next: float
    t: float
    seconds: float
    mean: tuple[float, ...]
    variance: tuple[float, ...]
    entropy: float | None
    entropy_joint: float | None
    x0_std: float
    inflation: float | None
    clipped: float
    not_finite: int


@dataclass(eq=False)
class Gauge:
    """A projection that changes nothing and measures how much guidance inflates the clean prediction.

    Put into a plan's `project`, it sees every evaluation's weighted output and the same at guidance one.
    """

    _ratios: dict[float, tuple[float, ...]] = field(default_factory=dict[float, tuple[float, ...]])

    def before(self, x: Array, sigma: float) -> Array:
        return x

    def after(self, x0: Array, guided: Guided) -> Array:
        guided_std, plain_std = (
            _stds(to_x0(output, guided.x, guided.sigma, guided.prediction))
            for output in (guided.output, guided.reference)
        )
        self._ratios[guided.sigma] = tuple(
            top / bottom if bottom > 0 else math.nan
            for top, bottom in zip(guided_std, plain_std, strict=True)
        )
        return x0

    def take(self, sigma: float) -> tuple[float, ...] | None:
        """Return std(guided x0) / std(x0 at guidance one) of each picture at `sigma`, and forget the rest."""
        ratios = self._ratios.get(sigma)
        self._ratios.clear()
        return ratios


def measure(look: Look, inflation: Sequence[float] | None = None) -> tuple[TraceRow, ...]:
    """Return a row for each picture of a step; `inflation` is the gauge's reading at its sigma."""
    step = look.step
    scaled = unit_variance(look.x, step.sigma_next)
    rows: list[TraceRow] = []
    for place, index in enumerate(look.indices):
        channels = scaled[place].reshape(scaled.shape[1], -1).astype(np.float64)
        x0, clean = look.x0[place], look.clean[place]
        finite = x0[np.isfinite(x0)].astype(np.float64)
        ratio = None if inflation is None else inflation[place]
        entropy, joint = entropy_bounds(channels)
        rows.append(
            TraceRow(
                index=index,
                step=step.index,
                num_steps=step.num_steps,
                sigma=step.sigma,
                sigma_next=step.sigma_next,
                t=step.t,
                seconds=step.seconds,
                mean=tuple(channels.mean(axis=1).tolist()),
                variance=tuple(channels.var(axis=1, ddof=1).tolist()) if channels.shape[1] > 1 else (),
                entropy=entropy,
                entropy_joint=joint,
                x0_std=float(finite.std()) if finite.size else 0.0,
                inflation=ratio if ratio is not None and math.isfinite(ratio) else None,
                clipped=float((np.abs(clean) > 1 + _HALF_A_BYTE).mean()),
                not_finite=int(x0.size - finite.size),
            )
        )
    return tuple(rows)


def entropy_bounds(channels: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return bounds of the entropy of `channels (C,n)` in nats a dimension: from the variance of each
    channel, and from their covariance, `1/2 ln det(2 pi e Sigma) / C`.

    Both are free of the bias that few places give a logarithm of variances (Misra, Singh and Demchuk 2005,
    "Estimation of the entropy of a multivariate normal distribution"): white noise of variance one gives
    1.4189 on average. None where a variance is zero, or n is not above C.
    """
    count, places = channels.shape
    if places < 2:
        return None, None
    variances = channels.var(axis=1, ddof=1)
    if not np.all(variances > 0):
        return None, None
    free = places - 1
    each = GAUSSIAN + float(np.log(variances).mean() - _bias(free)) / 2
    if places <= count:
        return each, None
    sign, log_det = np.linalg.slogdet(np.atleast_2d(np.cov(channels)))
    if sign <= 0:
        return each, None
    bias = sum(_bias(free - lost, free) for lost in range(count)) / count
    return each, GAUSSIAN + (float(log_det) / count - bias) / 2


def to_csv(rows: Sequence[TraceRow]) -> str:
    """Return rows as CSV with a header; a channel has a column of its own, and nothing stands for None."""
    channels = max((len(row.variance) for row in rows), default=0)
    plain = [one.name for one in fields(TraceRow) if one.name not in ("mean", "variance")]
    wide = [f"{name}_{channel}" for name in ("mean", "variance") for channel in range(channels)]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *wide])
    for row in rows:
        values = [vars(row)[name] for name in plain]
        writer.writerow(["" if value is None else value for value in (*values, *row.mean, *row.variance)])
    return text.getvalue()


def to_json(rows: Sequence[TraceRow], resolved: Resolved, backend: str) -> str:
    """Return the trace of one picture as JSON: its recipe, what ran, and the rows."""
    document = {
        "version": TRACE_VERSION,
        "recipe": resolved.model_dump(mode="json"),
        "backend": backend,
        "gaussian": GAUSSIAN,
        "steps": [vars(row) for row in rows],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _stds(x0: Array) -> tuple[float, ...]:
    """Return the standard deviation of every picture in `x0 (B,C,h,w)`."""
    xp = array_namespace(x0)
    stds = xp.std(x0, axis=tuple(range(1, x0.ndim)))
    return tuple(float(stds[place]) for place in range(x0.shape[0]))


def _bias(free: int, over: int | None = None) -> float:
    """Return E ln(chi^2_free / over): digamma(free / 2) - ln(over / 2), of its series to 1e-6 from 4 up."""
    half = free / 2
    digamma = math.log(half) - 1 / (2 * half) - 1 / (12 * half**2) + 1 / (120 * half**4)
    return digamma - math.log((free if over is None else over) / 2)
