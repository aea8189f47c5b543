"""What is coarse in a picture stays as it was while what is fine is drawn: a projection on x0.

The low-pass part of every clean prediction is replaced by that of a reference, as ILVR does to the noisy
latents (Choi et al. 2021, arXiv 2108.02938, Eq. 9). In windows, no window then knows better than the picture
what belongs where.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.plan import Guided
from sfumato.models.backends.base import Array

ALMOST = 1e-6


@dataclass(frozen=True, eq=False)
class KeepCoarse:
    """Keeps what is coarse in `reference (1,C,h,w)` during the share `share` of the drawn steps.

    `down (h,h)` and `across (w,w)` smooth one axis each (see `smoothing`). `levels` are the noise levels of
    the drawn steps, falling.
    """

    reference: Array
    down: Array
    across: Array
    levels: tuple[float, ...]
    share: float

    def before(self, x: Array, sigma: float) -> Array:
        return x

    def after(self, x0: Array, guided: Guided) -> Array:
        # Levels above this one: the steps that are done, also when a solver asks between two levels.
        done = bisect_left([-level for level in self.levels], -guided.sigma)
        if done >= self.share * len(self.levels) - ALMOST:
            return x0
        return x0 + self.down @ (self.reference - x0) @ self.across


def smoothing(size: int, cells: int) -> NDArray[np.float32]:
    """Return the matrix `(size, size)` that smooths `size` places: means over `cells` equal cells, and lines
    between them. Its rows sum to one. For the other axis, multiply by its transpose.
    """
    places = Image.fromarray(np.eye(size, dtype=np.float32))
    means = places.resize((size, cells), Image.Resampling.BOX)
    return np.array(means.resize((size, size), Image.Resampling.BILINEAR))
