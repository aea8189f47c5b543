"""What ControlNets add to a call of the UNet."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sfumato.engine.steering import ControlSteering, FeatureSteering, steer


@dataclass(frozen=True)
class Constant:
    """A ControlNet that adds `value` times its weight everywhere."""

    value: float

    def residuals(
        self, x: Any, t: float, context: Any, hint: Any, scale: float, extra: Any = None
    ) -> tuple[tuple[Any, ...], Any]:
        return (np.full_like(x, self.value * scale), np.full_like(x, 1.0)), np.full_like(x, self.value)


def test_residuals_of_several_are_added() -> None:
    x, hint = np.zeros((2, 4, 8, 8), np.float32), np.zeros((1, 3, 64, 64), np.float32)
    active = [
        ControlSteering(Constant(value), hint, weight, frozenset({0})) for value, weight in ((1, 0.5), (10, 2))
    ]
    extra = steer(active, x, 500.0, np.zeros((2, 16, 32), np.float32))
    assert [float(one.mean()) for one in extra.down] == [20.5, 2.0]
    assert float(extra.mid.mean()) == 11.0


def test_without_any_there_is_nothing() -> None:
    extra = steer([], np.zeros((1, 4, 8, 8), np.float32), 0.0, None)
    assert (extra.down, extra.mid) == ((), None)
