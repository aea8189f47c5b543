"""The figures of a report and their 95 % intervals. Pure numpy; features are rows `(N, D)`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

Z: Final = 1.959963984540054  # normal quantile of a two-sided 95 % interval
GROUPS: Final = 20
_T_19: Final = 2.093024054408263  # Student's t quantile for GROUPS - 1 degrees of freedom
_RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Measure:
    """A figure from `n` observations, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def wilson(right: int, n: int) -> Measure:
    """Return the share `right / n` with its score interval: Wilson 1927, "Probable inference, the law of
    succession, and statistical inference". It stays inside 0..1 and has width at 0 and n. Raises ValueError
    unless 0 <= right <= n and n > 0.
    """
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"no share: {right} of {n}")
    share = right / n
    shrink = 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # At the ends the formula gives exactly 0 or 1 up to rounding.
    return Measure(share, 0.0 if right == 0 else centre - half, 1.0 if right == n else centre + half, n)


def mean_of(values: NDArray[np.floating]) -> Measure:
    """Return the mean of `values (N,)` with its normal interval, which one value alone does not have."""
    mean = float(values.mean())
    half = Z * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return Measure(mean, mean - half, mean + half, len(values))


def gaussian_frechet(mean_a: Matrix, cov_a: Matrix, mean_b: Matrix, cov_b: Matrix) -> float:
    """Return the squared Fréchet distance of two Gaussians: |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)).

    Means `(D,)`, covariances `(D,D)`. Dowson and Landau 1982, "The Fréchet distance between multivariate
    normal distributions"; of image features: Heusel et al. 2017, arXiv 1706.08500, equation 6.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # A B has the eigenvalues of A^(1/2) B A^(1/2), which is symmetric: real square roots, no scipy.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    gap = mean_a - mean_b
    return max(0.0, float(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the squared Fréchet distance of the Gaussians fitted to features `a (N,D)` and `b (M,D)`.

    With few pictures it is too large, as a covariance of D dimensions needs many more than D samples: compare
    it only with figures of equal N, such as that of real pictures. Raises ValueError for fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("a covariance needs two pictures or more")
    a, b = a.astype(np.float64), b.astype(np.float64)
    if len(a) + len(b) < a.shape[1]:
        # Few pictures span a subspace, and distances do not depend on the axes: small matrices will do.
        axes, _ = np.linalg.qr(np.concatenate([a, b]).T)
        a, b = a @ axes, b @ axes
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return gaussian_frechet(a.mean(axis=0), np.atleast_2d(cov_a), b.mean(axis=0), np.atleast_2d(cov_b))


def frechet(a: NDArray[np.floating], b: NDArray[np.floating]) -> Measure:
    """Return `frechet_distance` of features `a` and `b`, both `(N,D)` of the same scenes, with its interval.

    The interval comes from leaving out one of 20 groups of scenes at a time (the jackknife; a bootstrap's
    repeated pictures would shrink the covariances). Needs 3 scenes.
    """
    groups = min(GROUPS, len(a))
    group = np.arange(len(a)) % groups
    value = frechet_distance(a, b)
    without = np.array([frechet_distance(a[group != one], b[group != one]) for one in range(groups)])
    half = _T_19 * math.sqrt((groups - 1) / groups * float(((without - without.mean()) ** 2).sum()))
    return Measure(value, max(0.0, value - half), value + half, len(a))


def mean_distance(features: NDArray[np.floating]) -> float:
    """Return the mean Euclidean distance between different rows of `features (N,D)`, N >= 2."""
    rows = features.astype(np.float64)
    first, second = np.triu_indices(len(rows), k=1)
    return float(np.linalg.norm(rows[first] - rows[second], axis=1).mean())


def relative_spread(
    drawn: Sequence[NDArray[np.floating]], real: Sequence[NDArray[np.floating]], seed: int
) -> Measure:
    """Return how much pictures of one prompt differ, relative to real ones: 1 means as much, 0 not at all.

    `drawn[k]` and `real[k]` are features `(S,D)` of prompt `k`. The figure is the ratio of the mean
    distances; its interval is the middle 95 % of a bootstrap over prompts, with random numbers from `seed`;
    n is the number of prompts. Raises ValueError when real pictures do not differ at all.
    """
    top = np.array([mean_distance(one) for one in drawn])
    bottom = np.array([mean_distance(one) for one in real])
    if not bottom.all():
        raise ValueError("real pictures of a prompt are all the same")
    chosen = np.random.default_rng([seed, 202]).integers(0, len(top), (_RESAMPLES, len(top)))
    ratios = top[chosen].mean(axis=1) / bottom[chosen].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Measure(float(top.mean() / bottom.mean()), float(low), float(high), len(top))


def rate(seconds: Sequence[float]) -> Measure:
    """Return pictures per second, of pictures that took `seconds` each (one or more, above 0)."""
    spent = np.array(seconds, np.float64)
    mean = float(spent.mean())
    half = Z * float(spent.std(ddof=1)) / math.sqrt(len(spent)) if len(spent) > 1 else 0.0
    return Measure(1 / mean, 1 / (mean + half), 1 / max(mean - half, float(spent.min())), len(spent))
