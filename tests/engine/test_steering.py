"""What ControlNets add to a call of the UNet."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sfumato.engine.steering import ControlSteering, FeatureSteering, steer
from sfumato.models.backends.base import Extra


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
        ControlSteering(Constant(value), hint, weight, frozenset({0}))
        for value, weight in ((1, 0.5), (10, 2))
    ]
    extra = steer(active, x, 500.0, np.zeros((2, 16, 32), np.float32))
    assert [float(one.mean()) for one in extra.down] == [20.5, 2.0]
    assert extra.mid is not None
    assert float(extra.mid.mean()) == 11.0


@dataclass
class Pyramid:
    """A T2I-Adapter with two features, which counts how often it is asked."""

    asked: int = 0

    def features(self, hint: Any) -> tuple[Any, ...]:
        self.asked += 1
        return hint[:, :1] + 1, hint[:, :1, ::2, ::2] + 2


def test_features_are_weighted_added_and_computed_once() -> None:
    x, hint, steps = np.zeros((2, 4, 8, 8), np.float32), np.zeros((1, 3, 8, 8), np.float32), frozenset({0})
    pyramid = Pyramid()
    active = [FeatureSteering(pyramid, hint, 0.5, steps), FeatureSteering(Pyramid(), hint, 2.0, steps)]
    for _ in range(3):
        extra = steer(active, x, 500.0, None)
        assert [float(one.mean()) for one in extra.inside] == [2.5, 5.0]
        assert [one.shape for one in extra.inside] == [(1, 1, 8, 8), (1, 1, 4, 4)]
        assert (extra.down, extra.mid) == ((), None)
    assert pyramid.asked == 1
    shown = replace(active[0], hint=hint + 1)
    assert float(steer([shown], x, 500.0, None).inside[0].mean()) == 1.0


def test_features_go_beside_residuals() -> None:
    x, hint, steps = np.zeros((2, 4, 8, 8), np.float32), np.zeros((1, 3, 8, 8), np.float32), frozenset({0})
    active = [FeatureSteering(Pyramid(), hint, 1.0, steps), ControlSteering(Constant(1), hint, 1.0, steps)]
    extra = steer(active, x, 500.0, None, Extra(guidance=3.0))
    assert (len(extra.inside), len(extra.down), extra.guidance) == (2, 2, 3.0)
    assert extra.mid is not None
    assert float(extra.mid.mean()) == 1.0


def test_without_any_there_is_nothing() -> None:
    extra = steer([], np.zeros((1, 4, 8, 8), np.float32), 0.0, None)
    assert (extra.down, extra.mid) == ((), None)
