"""What a step rule is: the types every solver shares, and the ancestral split.

A rule moves `x` from one noise level to the next along `dx/dsigma = (x - D(x, sigma)) / sigma` (Karras et al.
2022, arXiv 2206.00364, Eq. 1 with sigma(t) = t), or along a stochastic equation with the same marginals. It
is a frozen value: what it must remember between steps is a state that the caller carries, and random numbers
come from the caller too.

All rules are written with the ratio `sigma_next / sigma` and never as `x + d * (sigma_next - sigma)`: with
zero terminal SNR the first sigma is 4096, and the difference would cost float32 four of its seven digits.
"""

import math
from typing import Any, Protocol

from sfumato.samplers.schedule import Array


class Denoise(Protocol):
    """The denoiser D: the expected clean latent `(B,C,h,w)` given `x (B,C,h,w)` at noise level `sigma`."""

    def __call__(self, x: Array, sigma: float, /) -> Array: ...


class NoiseSource(Protocol):
    """Standard normal noise `(B,C,h,w)` for the way from `sigma` down to `sigma_next`; see `noise.py`."""

    def __call__(self, sigma: float, sigma_next: float, /) -> Array: ...


class Rule(Protocol):
    """A step rule. Every implementation is a frozen dataclass."""

    def init(self) -> Any:
        """Return the state before the first step."""
        ...

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: Any, noise: NoiseSource
    ) -> tuple[Array, Array, Any]:
        """Return `(x at sigma_next, x0 predicted at sigma, state)`. `sigma > sigma_next >= 0`."""
        ...


def ancestral(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """Return `(down, up)` with `down^2 + up^2 = sigma_next^2`: go down to `down`, then add noise of size
    `up`.

    `eta = 0` adds none; `eta = 1` gives the posterior variance of Ho et al. 2020 (arXiv 2006.11239) Eq. 7. It
    is also DDIM's sigma_t(eta) (Song et al. 2020, arXiv 2010.02502, Eq. 16) divided by sqrt(alpha_bar).
    """
    # The differences of squares are factored, so that near-equal levels keep their digits.
    spread = (sigma - sigma_next) * (sigma + sigma_next) / (sigma * sigma)
    up = min(sigma_next, eta * sigma_next * math.sqrt(spread))
    return math.sqrt((sigma_next - up) * (sigma_next + up)), up


def relax(x: Array, x0: Array, ratio: float) -> Array:
    """Return the exact solution at `ratio * sigma` if the denoiser kept saying `x0`: `ratio x + (1 - ratio)
    x0`."""
    return x * ratio + x0 * (1 - ratio)
