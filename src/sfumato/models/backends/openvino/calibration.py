"""Measure the ranges of what a UNet's layers multiply, while it draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.base import Extra
from sfumato.models.backends.openvino.altered import AS_IT_IS, Altered
from sfumato.models.backends.openvino.backend import OpenVinoBackend, load_openvino
from sfumato.models.backends.openvino.graphs import Graphs
from sfumato.models.backends.openvino.unet import Part, UNetShape, build_observed_unet
from sfumato.models.backends.openvino.weights import Weights, weights_of
from sfumato.models.files import ModelFiles

Floats = NDArray[np.float32]


@dataclass(eq=False)
class Extremes:
    """The `ranges` of all calls so far; `names` are those of the outputs that a graph gives them in."""

    names: tuple[str, ...] = ()
    ranges: dict[str, Floats] = field(default_factory=dict)

    def add(self, outputs: Sequence[Floats]) -> None:
        """Take in the ranges `(2,C)` of one call, in the order of `names`."""
        for name, (low, high) in zip(self.names, outputs, strict=True):
            least, greatest = self.ranges.get(name, (low, high))
            self.ranges[name] = np.stack([np.minimum(least, low), np.maximum(greatest, high)])


@dataclass(frozen=True, eq=False)
class ObservedGraphs(Graphs):
    """`Graphs` whose UNet tells ranges as further outputs, which are named in `seen`."""

    seen: Extremes = field(default_factory=Extremes)

    def built_unet(
        self, weights: Weights, part: Part, shape: UNetShape, residuals: bool, altered: Altered
    ) -> Any:
        """Return openvino's model of the whole UNet. Raises ValueError for one that is altered."""
        if altered != AS_IT_IS:
            raise ValueError("ranges are measured in a UNet as it is")
        config = self.files.unet.config
        model, self.seen.names = build_observed_unet(weights, config, shape, residuals=residuals)
        return model


@dataclass(frozen=True, eq=False)
class ObservedBackend(OpenVinoBackend):
    """`OpenVinoBackend` which sees the ranges in its UNet at every `predict`. Features are not reused."""

    seen: Extremes = field(default_factory=Extremes)

    def _predict(
        self, part: Part, x: Floats, t: float, context: Floats, features: Floats | None, extra: Extra
    ) -> list[Floats]:
        if part != "whole":
            raise ValueError("features are not reused while ranges are measured")
        output, *rest = super()._predict(part, x, t, context, features, extra)
        self.seen.add(rest)
        return [output]

    @property
    def graphs(self) -> Graphs:
        """Return the graphs of a UNet that tells its ranges."""
        return ObservedGraphs(self.files, ranges=self.ranges, seen=self.seen)


def load_observed(files: ModelFiles) -> ObservedBackend:
    """Return the backend that measures ranges, in the precision that suits this processor."""
    return ObservedBackend(**vars(load_openvino(files, "auto")))


def channels_of_ranges(files: ModelFiles) -> dict[str, int]:
    """Return the names of all ranges that a model needs, and how many channels each is of."""
    shape = UNetShape(2, 16, 16, 8)
    model, names = build_observed_unet(weights_of(files.unet), files.unet.config, shape, residuals=False)
    _, *outputs = model.outputs
    return {name: int(output.shape[1]) for name, output in zip(names, outputs, strict=True)}
