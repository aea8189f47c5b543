"""How well a picture follows given outlines: where its own edges and those of the hint lie near each other.

A picture's edges are Canny's (`sfumato.imaging.annotators.edges`), as in the hints that ControlNets of edges
are trained with.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.evaluation.metrics import Measure, Z
from sfumato.imaging.annotators import edges

TOLERANCE: Final = 2.0  # pixels, in pictures of 128x128

Pixels = NDArray[np.uint8]
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Overlap:
    """How two sets of edges lie to each other, in 0..1.

    `precision` is the share of a picture's edges that lie near one of the hint, `recall` the share of the
    hint's edges that lie near one of the picture; `f1` is their harmonic mean.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


@dataclass(frozen=True)
class Followed:
    """The mean F1 of pictures drawn with a ControlNet and, with the same prompts and seeds, without."""

    steered: Measure
    free: Measure

    @property
    def ratio(self) -> float:
        """How many times better outlines are followed with the ControlNet."""
        return self.steered.value / self.free.value if self.free.value > 0 else math.inf


def overlap(picture: Pixels, hint: Bits, tolerance: float = TOLERANCE) -> Overlap:
    """Return how the edges of `picture` uint8 (H,W,3) and those of `hint` (H,W) overlap.

    Edges at most `tolerance` pixels apart count as the same one. Where neither has any, all agree.
    """
    own = edges(picture)
    if not own.any() and not hint.any():
        return Overlap(1.0, 1.0)
    return Overlap(_share(own, near(hint, tolerance)), _share(hint, near(own, tolerance)))


def followed(
    hints: Sequence[Bits], steered: Sequence[Pixels], free: Sequence[Pixels], tolerance: float = TOLERANCE
) -> Followed:
    """Return how well pictures follow `hints` (H,W), each drawn once with the ControlNet and once without.

    Raises ValueError unless there are two or more of each, and as many of each.
    """
    scores = [
        [overlap(picture, hint, tolerance).f1 for picture, hint in zip(drawn, hints, strict=True)]
        for drawn in (steered, free)
    ]
    if len(hints) < 2:
        raise ValueError("a mean with an interval needs two pictures or more")
    return Followed(*(_mean(np.array(values)) for values in scores))


def near(lines: Bits, distance: float) -> Bits:
    """Return the places (H,W) that are at most `distance` pixels from one of `lines` (H,W)."""
    reach = math.floor(distance)
    height, width = lines.shape
    wide = np.pad(lines, reach)
    found = np.zeros_like(lines)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            if x * x + y * y <= distance * distance:
                found |= wide[reach + y : reach + y + height, reach + x : reach + x + width]
    return found


def _share(lines: Bits, places: Bits) -> float:
    total = int(lines.sum())
    return int((lines & places).sum()) / total if total else 0.0


def _mean(values: NDArray[np.float64]) -> Measure:
    """Return the mean with its normal 95 % interval, cut off at 0 and 1."""
    mean = float(values.mean())
    half = Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Measure(mean, max(0.0, mean - half), min(1.0, mean + half), len(values))
