"""ControlNets and T2I-Adapters at work: what they are asked, and what they add to a call of the UNet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeAlias

from sfumato.models.backends.base import NOTHING, Array, ControlNetwork, Extra, FeatureNetwork
from sfumato.models.controlnets import ControlFiles

Controls = Mapping[str, ControlFiles]  # by the name that the recipe gives them

NO_CONTROLS: Final[Controls] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class ControlSteering:
    """A ControlNet at work: `hint (1,3,H,W)` in [0, 1] is what it follows, with `weight`, at `steps`."""

    network: ControlNetwork
    hint: Array
    weight: float
    steps: frozenset[int]


@dataclass(frozen=True, eq=False)
class FeatureSteering:
    """A T2I-Adapter at work; `hint (1,C,H,W)` may be grey. All else is as with a ControlNet."""

    network: FeatureNetwork
    hint: Array
    weight: float
    steps: frozenset[int]

    @cached_property
    def features(self) -> tuple[Array, ...]:
        """What it adds inside the UNet: computed when it is first asked for, and then the same at all steps.
        In windows, which lie elsewhere at every step, each has its own.
        """
        return tuple(one * self.weight for one in self.network.features(self.hint))


Steering: TypeAlias = ControlSteering | FeatureSteering


def steer(active: Sequence[Steering], x: Array, t: float, context: Array, told: Extra = NOTHING) -> Extra:
    """Return what one call of the UNet is told, `told`, with what `active` add to it: the sum of the
    residuals of ControlNets, and that of the features of T2I-Adapters.

    `x (B,C,h,w)`, `t` and `context (B,T,D)` are those of the call. A ControlNet is told what the UNet is.
    """
    down: tuple[Array, ...] = ()
    mid: Array | None = None
    inside: tuple[Array, ...] = ()
    for one in active:
        match one:
            case FeatureSteering():
                inside = _sum(inside, one.features)
            case ControlSteering():
                more, middle = one.network.residuals(x, t, context, one.hint, one.weight, told)
                down = _sum(down, more)
                mid = middle if mid is None else mid + middle
    return replace(told, down=down, mid=mid, inside=inside)


def _sum(before: tuple[Array, ...], more: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(a + b for a, b in zip(before, more, strict=True)) if before else more
