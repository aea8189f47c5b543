"""What a UNet's graph may have that drawings seldom ask for: FreeU, a middle that does not attend to itself,
and features of a T2I-Adapter. Each is a graph of its own, compiled when it is first needed.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.base import Extra, FreeU
from sfumato.models.backends.openvino.layers import axis, numbers, output_of, spatial_of
from sfumato.models.backends.openvino.runtime import op
from sfumato.models.backends.openvino.weights import Node

MIDDLE = "mid_block."


@dataclass(frozen=True)
class Altered:
    """Which graph of a UNet: with `freeu` it takes four factors, `perturbed` ones do not compute the
    self-attention of the middle block, and those with `inside` take so many features for the down blocks,
    and then for the middle.
    """

    perturbed: bool = False
    freeu: bool = False
    inside: int = 0

    @classmethod
    def by(cls, extra: Extra) -> "Altered":
        return cls(extra.perturbed, extra.freeu is not None, len(extra.inside))


AS_IT_IS = Altered()


def freeu_factors(factors: FreeU) -> NDArray[np.float32]:
    """Return the graph's input `freeu (4,)`: b1, s1, b2, s2."""
    return np.array([factors.b1, factors.s1, factors.b2, factors.s2], np.float32)


def weighed(h: Node, skip: Node, level: int, factors: Node) -> tuple[Node, Node]:
    """Return what up block `level` (0 or 1, from the deepest) joins: `h (B,C,h,w)` from below, half of whose
    channels are multiplied, and `skip (B,D,h,w)`, whose four lowest frequencies are.
    """
    backbone, across = (op.gather(factors, axis(2 * level + place), axis(0)) for place in (0, 1))
    channels = output_of(h).get_partial_shape()[1].get_length()
    first = numbers(np.arange(channels).reshape(1, -1, 1, 1) < channels // 2)
    h = op.multiply(h, op.add(op.multiply(first, op.subtract(backbone, numbers(1.0))), numbers(1.0)))
    low = _lowest(skip)
    return h, op.add(skip, op.multiply(low, op.subtract(across, numbers(1.0))))


def _lowest(x: Node) -> Node:
    """Return what is of frequency 0 or -1 in both directions of `x (B,C,h,w)`.

    The real part of A x B, where A and B project on two frequencies each: a sum of matrix products.
    """
    size = spatial_of(x)
    down, across = (_projection(op.gather(size, axis(place), axis(0))) for place in (0, 1))
    real = op.matmul(op.matmul(down[0], x, False, False), across[0], False, True)
    return op.subtract(real, op.matmul(op.matmul(down[1], x, False, False), across[1], False, True))


def _projection(side: Node) -> tuple[Node, Node]:
    """Return the real and the imaginary part `(n,n)` of the projection on the frequencies 0 and -1 of a side
    of n places: `(1 + exp(-2 pi i (a - b) / n)) / n`; a side of one place has no second frequency.
    """
    places = op.convert(op.range(axis(0), side, axis(1), "i64"), "f32")
    length = op.convert(side, "f32")
    apart = op.subtract(op.unsqueeze(places, axis(1)), op.unsqueeze(places, axis(0)))
    angle = op.multiply(apart, op.divide(numbers(-2 * math.pi), length))
    second = op.minimum(op.subtract(length, numbers(1.0)), numbers(1.0))
    real = op.divide(op.add(numbers(1.0), op.multiply(second, op.cos(angle))), length)
    return real, op.divide(op.multiply(second, op.sin(angle)), length)
