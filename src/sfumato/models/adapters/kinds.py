"""What adapters do to a weight, as the papers have it: each kind is a frozen value with factors in float32.

Shapes: a weight W is `(out, in)`, or `(out, in, k, k)` for a convolution; r is the rank.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]

_LEAST_NORM: Final = float(np.finfo(np.float32).tiny)  # an output whose weights are all zero has no direction


@dataclass(frozen=True, eq=False)
class LowRank:
    """LoRA (Hu et al. 2021, arXiv 2106.09685, Section 4.1): dW = B A.

    `up` is B `(out, r)`, `down` is A `(r, in)`, or `(r, in, k, k)` for a convolution. With `mid`
    `(r, r, k, k)`, as LoCon has it (Yeh et al. 2023, arXiv 2309.14859, Section 3.2), the convolution is
    Tucker's: `dW[o,i] = sum_ab up[o,a] mid[a,b] down[b,i]`.
    """

    up: Floats
    down: Floats
    mid: Floats | None = None

    @property
    def shape(self) -> Shape:
        kernel = self.down.shape[2:] if self.mid is None else self.mid.shape[2:]
        return (self.up.shape[0], self.down.shape[1], *kernel)

    def delta(self, weight: Floats) -> Floats:
        if self.mid is not None:
            return _tucker(self.mid, self.up, self.down.reshape(self.down.shape[:2]))
        flat = self.up @ self.down.reshape(self.down.shape[0], -1)
        return flat.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Hadamard:
    """LoHa (Hyeon-Woo et al. 2021, arXiv 2108.06098, Proposition 1): dW = (W1a W1b) * (W2a W2b), element by
    element; with cores `t1` and `t2` `(r, r, k, k)` each product is Tucker's (its Proposition 3).

    `a1`, `a2` are `(out, r)` and `b1`, `b2` `(r, in)` or `(r, in*k*k)`; with cores, `a1`, `a2` are
    `(r, out)`.
    """

    a1: Floats
    b1: Floats
    a2: Floats
    b2: Floats
    t1: Floats | None = None
    t2: Floats | None = None

    @property
    def shape(self) -> Shape:
        if self.t1 is None:
            return (self.a1.shape[0], self.b1.shape[1])
        return (self.a1.shape[1], self.b1.shape[1], *self.t1.shape[2:])

    def delta(self, weight: Floats) -> Floats:
        return _product(self.a1, self.b1, self.t1) * _product(self.a2, self.b2, self.t2)


@dataclass(frozen=True, eq=False)
class Kronecker:
    """LoKr (Yeh et al. 2023, arXiv 2309.14859, Section 3.3, Equation 5): dW is the Kronecker product of `w1`
    `(o1, i1)` and `w2` `(o2, i2)` or `(o2, i2, k, k)`, out = o1 o2 and in = i1 i2. Factors that were stored
    as products of smaller ones have been multiplied.
    """

    w1: Floats
    w2: Floats

    @property
    def shape(self) -> Shape:
        return (
            self.w1.shape[0] * self.w2.shape[0],
            self.w1.shape[1] * self.w2.shape[1],
            *self.w2.shape[2:],
        )

    def delta(self, weight: Floats) -> Floats:
        return np.kron(self.w1.reshape(*self.w1.shape[:2], *(1,) * (self.w2.ndim - 2)), self.w2)


@dataclass(frozen=True, eq=False)
class Difference:
    """A whole difference: dW as it is stored, of a weight, a bias or a norm."""

    whole: Floats

    @property
    def shape(self) -> Shape:
        return self.whole.shape

    def delta(self, weight: Floats) -> Floats:
        return self.whole


@dataclass(frozen=True, eq=False)
class Rescaling:
    """(IA)^3 (Liu et al. 2022, arXiv 2205.05638, Section 3.3), as LyCORIS stores it: dW = W l, with a factor
    `l` for every output `(out,)`, or with `on_input` for every input `(in,)`; zero changes nothing.
    """

    factors: Floats
    on_input: bool

    @property
    def shape(self) -> Shape:
        """Of the factors: one side of the weight alone is known."""
        return self.factors.shape

    def delta(self, weight: Floats) -> Floats:
        sides = (1, -1) if self.on_input else (-1, 1)
        return weight * self.factors.reshape(*sides, *(1,) * (weight.ndim - 2))


Change: TypeAlias = LowRank | Hadamard | Kronecker | Difference | Rescaling


@dataclass(frozen=True, eq=False)
class Magnitude:
    """DoRA (Liu et al. 2024, arXiv 2402.09353, Equation 5): W' = m (W + dW) / |W + dW|, where the norm is
    taken over all that leads to one output (`per_output`), or over all that one input leads to.

    The paper writes W as `(in, out)`, and so its columns are the outputs; adapters of LyCORIS before 3.0
    have the norm of inputs. `numbers` is m, one for each output or input.
    """

    numbers: Floats
    per_output: bool

    def applied(self, whole: Floats) -> Floats:
        kept = 0 if self.per_output else 1
        over = tuple(place for place in range(whole.ndim) if place != kept)
        norm = np.sqrt(np.square(whole).sum(axis=over, keepdims=True))
        sides = [1] * whole.ndim
        sides[kept] = -1
        return whole * (self.numbers.reshape(sides) / np.maximum(norm, _LEAST_NORM))


@dataclass(frozen=True, eq=False)
class Row:
    """What one adapter does to one tensor: `key` is its name in today's diffusers or transformers, `source`
    what the file calls it, `kind` the kind of adapter for people. `scale` is alpha / rank.
    """

    key: str
    source: str
    kind: str
    change: Change
    scale: float = 1.0
    magnitude: Magnitude | None = None

    def applied(self, weight: Floats, strength: float) -> Floats:
        """Return the changed `weight`, float32, of its own shape: `W + strength (W' - W)`, where W' is what
        the adapter was trained to make of it, `W + scale dW`, or DoRA's. A strength of 0 is the model itself.
        """
        weight = np.asarray(weight, np.float32)
        delta = self.change.delta(weight).reshape(weight.shape)
        if self.magnitude is None:
            return _sum(weight, strength * self.scale, delta)
        whole = self.magnitude.applied(_sum(weight, self.scale, delta))
        return _sum(weight, strength, whole - weight)


def misfit(change: Change, shape: Shape) -> Shape | None:
    """Return the shape of what `change` adds where it cannot be added to a weight of `shape`; else None.

    Matrices and 1x1 convolutions hold the same numbers, and LoHa's products may have the kernel laid flat.
    """
    found = change.shape
    if len(shape) < 2 and not isinstance(change, Difference):
        return found
    if isinstance(change, Rescaling):
        return None if change.factors.size == shape[1 if change.on_input else 0] else found
    rows = found[:1] == shape[:1] and math.prod(found) == math.prod(shape)
    if not rows:
        return found
    flat = len(found) == 2
    pointwise = all(side == 1 for side in (*found[2:], *shape[2:]))
    return None if found == shape or flat or pointwise else found


def _sum(weight: Floats, factor: float, more: Floats) -> Floats:
    return np.asarray(weight + np.float32(factor) * more, np.float32)


def _product(a: Floats, b: Floats, core: Floats | None) -> Floats:
    return a @ b if core is None else _tucker(core, a.T, b)


def _tucker(core: Floats, up: Floats, down: Floats) -> Floats:
    """Return `sum_ab up[o,a] core[a,b,k,l] down[b,i]` as `(o,i,k,l)`."""
    up = up.reshape(up.shape[0], -1)
    inner = np.einsum("abkl,bi->aikl", core, down)
    return np.ascontiguousarray(np.einsum("oa,aikl->oikl", up, inner))
