"""Layers that multiply whole numbers of 8 bits, weights and inputs, and those that measure what it takes.

A weight has one scale for every output, an input one scale and one zero for all of it. Some channels of an
input are far larger than others; so that these keep their digits, every channel is divided by a factor that
its weights are multiplied by before they are rounded (SmoothQuant; Xiao et al. 2022, arXiv 2211.10438,
Equation 4). openvino turns the pairs of roundings into products of whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.layers import Layers, axis, numbers, whole
from sfumato.models.backends.openvino.ranges import Ranges, unusable
from sfumato.models.backends.openvino.runtime import op
from sfumato.models.backends.openvino.weights import Node, largest_of, quantised

LEVELS: Final = 256
# How much of an input's unevenness goes into the weights. From 0.65 to 0.9 the error of the bundled UNet is
# the same within a tenth; at 0.5 it is a sixth larger.
ALPHA: Final = 0.8
LEAST_SHARE: Final = 1e-3  # of the largest channel: one that was never seen to be active may be so later
# Ranges are measured with few pictures; what leaves them is cut off, which is worse than coarser steps. With
# those of four pictures of eight steps, the bundled UNet's error would be nearly twice as large without.
HEADROOM: Final = 1.4
# The first and the last layers; what depends on the time alone; what the sum of all layers goes through
# unnormalised; and products of two activations, the rarest of which are the largest. Little work, and more
# than half of the whole error.
FLOAT_LAYERS: Final = ("conv_in", "conv_out", "time_embedding.", "add_embedding.")
FLOAT_ENDS: Final = ("time_emb_proj", "conv_shortcut", "ff.net.2")

Floats = NDArray[np.float32]


def stays_float(name: str) -> bool:
    """Tell whether the layer `name` of a UNet is not quantised."""
    return name.startswith(FLOAT_LAYERS) or name.endswith(FLOAT_ENDS)


@dataclass(frozen=True, eq=False)
class ObservedLayers(Layers):
    """Layers that put into `seen` the least and greatest values, `(2,C)`, of what `QuantisedLayers` round."""

    seen: dict[str, Node]

    def matrices(self, x: Node, names: Sequence[str]) -> tuple[Node, list[Node]]:
        if not stays_float(names[0]):
            self.seen[f"{names[0]}.input"] = extremes(x, 0, 1)
        return super().matrices(x, names)

    def kernel(self, x: Node, name: str) -> tuple[Node, Node]:
        if not stays_float(name):
            self.seen[f"{name}.input"] = extremes(x, 0, 2, 3)
        return super().kernel(x, name)

    def compared(self, x: Node, name: str) -> Node:
        self.seen[f"{name}.output"] = extremes(x, 0, 1)
        return x


@dataclass(frozen=True, eq=False)
class QuantisedLayers(Layers):
    """Layers that round what they multiply to 8 bits, with the `ranges` that `ObservedLayers` saw.

    Raises InputError where these do not fit the layers.
    """

    ranges: Ranges

    def matrices(self, x: Node, names: Sequence[str]) -> tuple[Node, list[Node]]:
        if stays_float(names[0]):
            return super().matrices(x, names)
        weights = [self.weights.array(f"{name}.weight") for name in names]
        return self._rounded(x, names[0], [one.reshape(one.shape[:2]) for one in weights], (-1,))

    def kernel(self, x: Node, name: str) -> tuple[Node, Node]:
        if stays_float(name):
            return super().kernel(x, name)
        weight = self.weights.array(f"{name}.weight")
        x, (kernel,) = self._rounded(x, name, [weight], (1, -1, 1, 1))
        return x, kernel

    def compared(self, x: Node, name: str) -> Node:
        low, high = self._range(f"{name}.output", self.weights.shape(f"{name}.weight")[0])
        return rounded(x, symmetric(float(max(-low.min(), high.max()))))

    def _rounded(
        self, x: Node, name: str, weights: Sequence[Floats], shape: Sequence[int]
    ) -> tuple[Node, list[Node]]:
        """Return the input and the weights of layers that share it, rounded; its channels go by `shape`."""
        low, high = self._range(f"{name}.input", weights[0].shape[1])
        largest = np.maximum(np.abs(low), np.abs(high))
        factors = smoothing(largest, np.max([per_input(one) for one in weights], axis=0))
        x = op.multiply(x, numbers(np.reciprocal(factors).reshape(shape)))
        return (
            rounded(x, interval(float((low / factors).min()), float((high / factors).max()))),
            [_weight(one, factors) for one in weights],
        )

    def _range(self, name: str, channels: int) -> Floats:
        found = self.ranges.get(name)
        if found is None or found.shape != (2, channels):
            raise unusable(f"finds no range of {name} among those measured")
        return HEADROOM * found


def smoothing(inputs: Floats, weights: Floats) -> Floats:
    """Return the factors `(C)` that a layer's input is divided by, and its weight multiplied by.

    `inputs (C)` are the largest values of every channel, `weights (C)` those of what multiplies it.
    """
    if not inputs.any() or not weights.any():
        return np.ones_like(inputs)
    inputs, weights = (np.maximum(one, LEAST_SHARE * one.max()) for one in (inputs, weights))
    return (inputs**ALPHA / weights ** (1 - ALPHA)).astype(np.float32)


def per_input(weight: Floats) -> Floats:
    """Return the largest absolute value `(C)` of the weights `(outputs, C, ...)` of every input channel."""
    largest = largest_of(weight, 0)  # over both ends of the shape at once, numpy takes ten times as long
    return largest.reshape(len(largest), -1).max(axis=1)


def interval(low: float, high: float) -> tuple[float, float]:
    """Return the interval that holds `low`, `high` and 0, in whose 255 steps 0 is exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (LEVELS - 1) or 1.0
    zero = round(-low / step)
    return -zero * step, (LEVELS - 1 - zero) * step


def symmetric(largest: float) -> tuple[float, float]:
    """Return the interval around 0 in whose 255 steps `largest` and 0 are exact; it has a step more below."""
    largest = largest or 1.0
    return -largest * LEVELS / (LEVELS - 2), largest


def rounded(x: Node, bounds: tuple[float, float]) -> Node:
    """Return `x` rounded to 256 levels between the bounds, ends included."""
    low, high = (numbers(bound) for bound in bounds)
    return op.fake_quantize(x, low, high, low, high, LEVELS)


def extremes(x: Node, *over: int) -> Node:
    """Return the least and the greatest values of `x` over some of its axes: `(2, ...)`."""
    ends = (op.reduce_min(x, whole(*over), False), op.reduce_max(x, whole(*over), False))
    return op.concat([op.unsqueeze(end, axis(0)) for end in ends], 0)


def _weight(weight: Floats, factors: Floats) -> Node:
    small, scale = quantised(weight * factors.reshape(1, -1, *(1,) * (weight.ndim - 2)))
    return op.multiply(op.convert(op.constant(small), "f32"), op.constant(scale))
