"""ControlNets at work: what they are asked at a step, and what they add to a call of the UNet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from sfumato.models.backends.base import NOTHING, Array, ControlNetwork, Extra
from sfumato.models.controlnets import ControlFiles

Controls = Mapping[str, ControlFiles]  # by the name that the recipe gives them

NO_CONTROLS: Final[Controls] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Steering:
    """A ControlNet at work: `hint (1,3,H,W)` in [0, 1] is what it follows, with `weight`, at `steps`."""

    network: ControlNetwork
    hint: Array
    weight: float
    steps: frozenset[int]


def steer(active: Sequence[Steering], x: Array, t: float, context: Array, told: Extra = NOTHING) -> Extra:
    """Return what one call of the UNet is told, `told`, with what the ControlNets `active` add to it: the sum
    of their residuals.

    `x (B,C,h,w)`, `t` and `context (B,T,D)` are those of the call. A ControlNet is told what the UNet is.
    """
    down: tuple[Array, ...] = ()
    mid: Array | None = None
    for one in active:
        more, middle = one.network.residuals(x, t, context, one.hint, one.weight, told)
        down = more if mid is None else tuple(a + b for a, b in zip(down, more, strict=True))
        mid = middle if mid is None else mid + middle
    return replace(told, down=down, mid=mid)
