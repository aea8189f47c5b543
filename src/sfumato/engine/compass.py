"""Where guidance leads at each step: the prediction without the words, with them, and what is made of both.

Guidance takes `u + s (c - u)` for the prediction (Ho and Salimans 2022, "Classifier-Free Diffusion Guidance",
arXiv 2207.12598, Eq. 6, with `s = 1 + w`): a point on the line through the unconditional prediction `u` and
the conditional one `c`. So the three lie in one plane, and a drawing of that plane is exact.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from sfumato.engine.plan import Guided
from sfumato.models.backends.base import Array
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import to_x0

#: With less than this between the guidance and one, what is subtracted is too alike to tell it apart.
LEAST: Final = 0.05


@dataclass(frozen=True)
class Bearing:
    """The clean predictions of one evaluation at noise level `sigma`: lengths (Euclidean norms) of the
    `unconditional`, the `conditional` and the `guided` one, and the angle between the first two in `degrees`.
    """

    sigma: float
    unconditional: float
    conditional: float
    guided: float
    degrees: float


@dataclass(eq=False)
class Compass:
    """A projection that changes nothing and measures where `guidance` leads the first picture of a batch.

    For plans of one prompt and nothing else that combines predictions. Of a solver that asks several times
    in a step, the first answer counts.
    """

    guidance: float
    _bearings: dict[int, Bearing] = field(default_factory=dict[int, Bearing])

    def before(self, x: Array, sigma: float) -> Array:
        return x

    def after(self, x0: Array, guided: Guided) -> Array:
        if guided.step not in self._bearings and self._asks_twice:
            result, conditional = (
                to_x0(output[:1], guided.x[:1], guided.sigma, guided.prediction)
                for output in (guided.output, guided.reference)
            )
            # The network's answer without the words is not handed on, but follows from the other two.
            unconditional = (conditional * self.guidance - result) / (self.guidance - 1)
            self._bearings[guided.step] = _bearing(guided.sigma, unconditional, conditional, result)
        return x0

    @property
    def _asks_twice(self) -> bool:
        return self.guidance != 0 and abs(self.guidance - 1) >= LEAST

    def at(self, step: int) -> Bearing | None:
        """Return what was measured in `step`, None with a guidance of zero or one, which asks once only."""
        return self._bearings.get(step)


def _bearing(sigma: float, unconditional: Array, conditional: Array, guided: Array) -> Bearing:
    xp = array_namespace(guided)

    def along(a: Array, b: Array) -> float:
        return float(xp.sum(a * b))

    lengths = [math.sqrt(along(one, one)) for one in (unconditional, conditional, guided)]
    both = lengths[0] * lengths[1]
    cosine = along(unconditional, conditional) / both if both > 0 else 1.0
    return Bearing(sigma, *lengths, degrees=math.degrees(math.acos(min(1.0, max(-1.0, cosine)))))
