"""Random numbers: one generator per picture, with the stream torch's CPU generator has, and Brownian paths.

A picture's noise depends on its own seed only, so picture k of a batch equals the same picture drawn alone;
and it is what `torch.Generator("cpu").manual_seed(seed)` with `torch.randn` gives, so that a seed means here
what it means in diffusers. This file needs numpy only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sfumato.samplers.schedule import Array

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Convert = Callable[[Float32], Array]

_BLOCK = 16
# Depth of the tree under a Brownian path: leaves are 2^-24 of the log-sigma range, closer than any two grid
# points.
_DEPTH = 24


class Generator:
    """The stream of `torch.Generator("cpu").manual_seed(seed)` under `torch.randn(..., dtype=torch.float32)`.

    MT19937 seeded with the low 32 bits of `seed` (so does torch). From 16 numbers on: uniforms of 24 bits,
    Box-Muller on blocks of 16, the cosines in the first half and the sines in the second; a tail that is not
    a multiple of 16 redraws the last 16. Below 16: uniforms of 53 bits, Box-Muller one pair at a time, the
    second of a pair kept for the next small request. Equal to torch to about 2.4e-7 (one unit in the last
    place of the largest values: torch's vector cosine rounds differently).

    `seed` in [0, 2^64). Raises ValueError outside.
    """

    def __init__(self, seed: int) -> None:
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed must be in [0, 2**64), not {seed}")
        self._bits = np.random.MT19937()
        # RandomState is frozen by numpy's compatibility policy; it seeds MT19937 as torch does.
        state: Any = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)
        self._bits.state = state
        self._spare: float | None = None

    def randn(self, shape: Sequence[int]) -> Float32:
        """Return standard normal float32 numbers of `shape`, and move on."""
        count = math.prod(shape)
        values = self._large(count) if count >= _BLOCK else self._small(count)
        return values.reshape(tuple(shape))

    def _large(self, count: int) -> Float32:
        uniforms = self._uniforms_24(count)
        whole = count - count % _BLOCK
        values = np.empty(count, np.float32)
        values[:whole] = _box_muller(uniforms[:whole])
        if whole < count:
            values[-_BLOCK:] = _box_muller(self._uniforms_24(_BLOCK))
        return values

    def _uniforms_24(self, count: int) -> Float32:
        words = self._bits.random_raw(count)
        return (words & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)

    def _small(self, count: int) -> Float32:
        values = np.empty(count, np.float32)
        for i in range(count):
            values[i] = self._one()
        return values

    def _one(self) -> float:
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        angle = 2 * math.pi * self._uniform_53()
        radius = math.sqrt(-2 * math.log1p(-self._uniform_53()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def _uniform_53(self) -> float:
        high, low = (int(word) for word in self._bits.random_raw(2))
        return ((high << 32 | low) & (2**53 - 1)) * 2.0**-53


def between(first: Float32, second: Float32, share: float) -> Float32:
    """Return noise on the arc from `first` to `second`, equal shapes, `share` in [0, 1] of the way.

    A straight line would pass nearer to zero, and a network expects noise of variance one (Shoemake 1985,
    "Animating Rotation with Quaternion Curves", Section 3.3).
    """
    if share == 0:
        return first
    a, b = first.ravel().astype(np.float64), second.ravel().astype(np.float64)
    cosine = float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if angle < 1e-6:  # the same noise
        return first
    weights = math.sin((1 - share) * angle), math.sin(share * angle)
    mixed = (weights[0] * a + weights[1] * b) / math.sin(angle)
    return mixed.reshape(first.shape).astype(np.float32)


def _box_muller(uniforms: Float32) -> Float32:
    blocks = uniforms.reshape(-1, 2, _BLOCK // 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - blocks[:, 0]))
    angle = np.float32(2 * math.pi) * blocks[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


def picture_noise(seed: int, index: int = 0) -> Generator:
    """Return the generator of picture `index` of a run with `seed`: the stream of `seed + index`."""
    return Generator(seed + index)


def _identity(values: Float32) -> Array:
    return values


@dataclass(frozen=True)
class FreshNoise:
    """A `NoiseSource` that ignores sigma and reads on in every picture's own generator, as diffusers does.

    `shape` is one picture's latent `(C,h,w)`; a call returns `(B,C,h,w)` through `convert` (a backend's
    `asarray`).
    """

    generators: tuple[Generator, ...]
    shape: tuple[int, ...]
    convert: Convert = _identity

    def __call__(self, sigma: float, sigma_next: float, /) -> Array:
        return self.convert(np.stack([generator.randn(self.shape) for generator in self.generators]))


@dataclass(frozen=True, eq=False)
class BrownianNoise:
    """A `NoiseSource` that reads increments of one Brownian path per picture, scaled to unit variance.

    The path is a function of the picture's seed and of sigma alone: it does not depend on the steps taken, on
    the order of the questions, or on the other pictures. So the same seed at another number of steps follows
    the same random path, and the picture settles as steps are added.

    The path runs on the clock 1/sigma^2. For the stochastic equation with eta = 1, x/sigma^2 receives noise
    of variance 1/sigma_next^2 - 1/sigma^2 in a step, so on this clock two short steps receive exactly what
    one long step does. (k-diffusion and diffusers run the clock on sigma, where that does not hold.)

    `seeds` one per picture, already `seed + index`; `shape` one latent `(C,h,w)`; levels asked for lie in
    [`sigma_min`, `sigma_max`], normally the schedule's ends, and a level outside raises ValueError.
    """

    seeds: tuple[int, ...]
    shape: tuple[int, ...]
    sigma_min: float
    sigma_max: float
    convert: Convert = _identity
    _paths: tuple["_Path", ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(f"need 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}")
        size = math.prod(self.shape)
        paths = tuple(
            _Path(seed, size, math.log(self.sigma_max), math.log(self.sigma_min)) for seed in self.seeds
        )
        object.__setattr__(self, "_paths", paths)

    def __call__(self, sigma: float, sigma_next: float, /) -> Array:
        start, end = self._place(sigma), self._place(sigma_next)
        scale = 1 / math.sqrt(abs(_clock(end) - _clock(start)))
        steps = [(path.at(end) - path.at(start)) * scale for path in self._paths]
        return self.convert(np.stack(steps).astype(np.float32).reshape(-1, *self.shape))

    def _place(self, sigma: float) -> float:
        # Grids are computed with powers and exponentials: their ends may miss the range by rounding.
        slack = 1e-6
        if not self.sigma_min * (1 - slack) <= sigma <= self.sigma_max * (1 + slack):
            raise ValueError(f"sigma {sigma} is outside [{self.sigma_min}, {self.sigma_max}]")
        return math.log(min(max(sigma, self.sigma_min), self.sigma_max))


def _clock(log_sigma: float) -> float:
    return math.exp(-2 * log_sigma)


class _Path:
    """W at any log sigma between `start` (high noise, where W = 0) and `end`: a virtual Brownian tree.

    Every node halves its interval of log sigma and draws the bridge value there from its own counter-based
    stream keyed by (seed, node). The last two values are kept: neighbouring steps share an end.
    """

    def __init__(self, seed: int, size: int, start: float, end: float) -> None:
        self._seed, self._size, self._start, self._end = seed, size, start, end
        self._zero = np.zeros(size)
        self._last = self._normals(0) * math.sqrt(_clock(end) - _clock(start))
        self._kept: dict[float, Float64] = {}

    def at(self, log_sigma: float) -> Float64:
        if log_sigma not in self._kept:
            if len(self._kept) >= 2:
                self._kept.pop(next(iter(self._kept)))
            self._kept[log_sigma] = self._descend(log_sigma)
        return self._kept[log_sigma]

    def _descend(self, target: float) -> Float64:
        left, right, w_left, w_right = self._start, self._end, self._zero, self._last
        node = 1
        for _ in range(_DEPTH):
            if target == left:
                return w_left
            if target == right:
                return w_right
            middle = (left + right) / 2
            w_middle = self._bridge(left, middle, right, w_left, w_right, node)
            if target >= middle:
                right, w_right, node = middle, w_middle, 2 * node
            else:
                left, w_left, node = middle, w_middle, 2 * node + 1
        return self._bridge(left, target, right, w_left, w_right, node)

    def _bridge(
        self, left: float, at: float, right: float, w_left: Float64, w_right: Float64, node: int
    ) -> Float64:
        before, after = _clock(at) - _clock(left), _clock(right) - _clock(at)
        share = before / (before + after)
        spread = math.sqrt(before * after / (before + after))
        return w_left + (w_right - w_left) * share + self._normals(node) * spread

    def _normals(self, node: int) -> Float64:
        # Box-Muller by hand: numpy promises the raw words of Philox for ever, but not the normals made of
        # them.
        key: Any = np.array([self._seed, node], dtype=np.uint64)
        pairs = (self._size + 1) // 2
        uniforms = (np.random.Philox(key=key).random_raw(2 * pairs) >> 11).astype(np.float64) * 2.0**-53
        radius = np.sqrt(-2 * np.log1p(-uniforms[:pairs]))
        angle = 2 * math.pi * uniforms[pairs:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[: self._size]
