"""Dynamic thresholding: what strong guidance drives out of range is brought back, picture by picture.

Imagen (Saharia et al. 2022, arXiv 2205.11487, Section 2.3) clips each predicted picture at a percentile of
its own absolute values and divides by it, as pixels lie in [-1, 1]. Latents have no such range. Here the
prediction at guidance one, which is computed anyway, says how far each channel reaches: there is no second
scale to imitate, and without guidance nothing happens.
"""

from dataclasses import dataclass

from sfumato.engine.plan import Guided
from sfumato.models.backends.base import Array
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import to_x0


@dataclass(frozen=True)
class DynamicThreshold:
    """Clip every channel of x0 at `percentile` in [0.5, 1] of its distances from the channel's mean, and
    shrink it so that this distance becomes that of the unguided prediction; where that is farther, nothing
    changes.
    """

    percentile: float

    def before(self, x: Array, sigma: float) -> Array:
        return x

    def after(self, x0: Array, guided: Guided) -> Array:
        xp = array_namespace(x0)
        unguided = to_x0(guided.reference, guided.x, guided.sigma, guided.prediction)
        centre, distances = _from_centre(x0)
        _, wanted_distances = _from_centre(unguided)
        reach, wanted = self._reach(distances), self._reach(wanted_distances)
        beyond = reach > wanted
        ratio = wanted / xp.where(beyond, reach, xp.ones_like(reach))
        return xp.where(beyond, centre + xp.clip(distances, -reach, reach) * ratio, x0)

    def _reach(self, distances: Array) -> Array:
        """Return the percentile `(B,C,1,1)` of the absolute `distances (B,C,h,w)`, interpolated."""
        xp = array_namespace(distances)
        flat = xp.reshape(xp.abs(distances), (*distances.shape[:2], -1))
        ordered = xp.sort(flat, axis=-1)
        place = self.percentile * (ordered.shape[-1] - 1)
        low, high = int(place), min(int(place) + 1, ordered.shape[-1] - 1)
        at = ordered[..., low] + (ordered[..., high] - ordered[..., low]) * (place - low)
        return at[..., None, None]


def _from_centre(x0: Array) -> tuple[Array, Array]:
    xp = array_namespace(x0)
    centre = xp.mean(x0, axis=(2, 3), keepdims=True)
    return centre, x0 - centre
