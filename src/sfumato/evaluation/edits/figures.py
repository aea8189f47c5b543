"""From the values of cases to figures with 95 % intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.evaluation.edits.task import Case, Row
from sfumato.evaluation.metrics import Measure, mean_of, wilson

PERCENTILE: Final = 95.0
_RESAMPLES: Final = 2000
_SEED: Final = 203  # of the bootstrap: equal cases have equal intervals

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A row with its `measure`; `beside` is what it is read against, `ratio` the one divided by the other,
    None where that says nothing.
    """

    row: Row
    measure: Measure
    beside: Measure | None
    ratio: Measure | None


def figures_of(rows: Sequence[Row], cases: Sequence[Case]) -> tuple[Figure, ...]:
    """Return the figures of `rows`, leaving out those that no case has values for."""
    figures: list[Figure] = []
    for row in rows:
        chosen = [case for case in cases if row.group in (None, case.group) and row.value in case.values]
        if not chosen:
            continue
        values = np.array([case.values[row.value] for case in chosen], np.float64)
        beside, ratio = None, None
        if row.beside is not None:
            against = np.array([case.values[row.beside] for case in chosen], np.float64)
            beside = _measured(row, against)
            ratio = ratio_of(values, against) if row.ratio else None
        figures.append(Figure(row, _measured(row, values), beside, ratio))
    return tuple(figures)


def percentile_of(values: Values) -> Measure:
    """Return the 95th percentile of `values (N,)`; the interval is the bootstrap's."""
    return _bootstrapped(len(values), lambda rows: np.percentile(values[rows], PERCENTILE, axis=-1))


def ratio_of(values: Values, against: Values) -> Measure | None:
    """Return the mean of `values (N,)` divided by that of `against (N,)`, of the same cases, with the
    bootstrap's interval over cases; None where the divisor is not above 0.
    """
    if not against.mean() > 0:
        return None
    # Resampled cases may all be 0: there is no ratio then, and the largest one that there could be stands in.
    least = against[against > 0].min() / len(against)

    def ratio(rows: NDArray[np.intp]) -> Values:
        return values[rows].mean(axis=-1) / np.maximum(against[rows].mean(axis=-1), least)

    return _bootstrapped(len(values), ratio)


def _measured(row: Row, values: Values) -> Measure:
    if row.statistic == "percentile":
        return percentile_of(values)
    if row.unit == "share" and set(values.tolist()) <= {0.0, 1.0}:
        return wilson(int(values.sum()), len(values))
    found = mean_of(values)
    if row.unit in ("share", "points"):
        return Measure(found.value, max(0.0, found.low), min(1.0, found.high), found.n)
    return found


def _bootstrapped(n: int, statistic: Callable[[NDArray[np.intp]], Values]) -> Measure:
    """Return a statistic of rows `(..., n)` of numbers of cases, with the middle 95 % of a bootstrap's."""
    every = np.arange(n, dtype=np.intp)
    resampled = np.random.default_rng([_SEED, n]).integers(0, n, (_RESAMPLES, n))
    low, high = np.quantile(statistic(resampled), [0.025, 0.975])
    return Measure(float(statistic(every)), float(low), float(high), n)
