"""How well a picture follows given outlines: where its own edges and those of the hint lie near each other.

A picture's edges are Canny's (`sfumato.imaging.annotators.edges`), as in the hints that ControlNets of edges
are trained with.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

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


def overlap(picture: Pixels, hint: Bits, tolerance: float = TOLERANCE) -> Overlap:
    """Return how the edges of `picture` uint8 (H,W,3) and those of `hint` (H,W) overlap.

    Edges at most `tolerance` pixels apart count as the same one. Where neither has any, all agree.
    """
    own = edges(picture)
    if not own.any() and not hint.any():
        return Overlap(1.0, 1.0)
    return Overlap(_share(own, near(hint, tolerance)), _share(hint, near(own, tolerance)))


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
