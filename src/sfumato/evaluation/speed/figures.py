"""What is made of repeated measurements: medians, spreads, and ratios of what was measured side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The `median` of `n` measurements, the smallest (`low`) and the largest (`high`)."""

    median: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(median(values), min(values), max(values), len(values))


def paired(tops: Sequence[float], bottoms: Sequence[float]) -> Spread:
    """Return the spread of the ratios `top / bottom` of equal rounds.

    Round by round, as a machine that slows down for a minute slows down both sides of a round. Raises
    ValueError when there are not as many of the one as of the other.
    """
    return spread([top / bottom for top, bottom in zip(tops, bottoms, strict=True)])
