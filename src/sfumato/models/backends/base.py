"""The protocol between the engine and the networks.

Arrays are whatever the backend computes with, as long as they follow the Array API (torch tensors, numpy
arrays); the engine never asks which. Latents, contexts and network outputs cross the border as float32, so
that solvers keep their precision whatever the networks compute in. Switching gradients off, devices and
dtypes are the backend's business, inside each call.
"""

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = Any  # Python has no static type for "follows the Array API" yet


class Backend(Protocol):
    """The networks of one model on one device. Stateless: nothing a call does is seen by the next one."""

    @property
    def name(self) -> str:
        """What ran, for people: for example ``torch cpu float32``."""
        ...

    def asarray(self, a: NDArray[np.float32]) -> Array:
        """Return `a` as this backend's float32 array, on its device."""
        ...

    def to_numpy(self, x: Array) -> NDArray[np.float32]:
        """Return `x` as a float32 numpy array; the inverse of `asarray`."""
        ...

    def encode_text(self, ids: NDArray[np.int64]) -> Array:
        """Return the text encoder's last hidden states after its final layer norm: `(N,T)` -> `(N,T,D)`."""
        ...

    def predict(self, x: Array, t: float, context: Array) -> Array:
        """Return the UNet's output `(B,C,h,w)` for network inputs `x (B,C,h,w)` of unit variance.

        `t` is the timestep, possibly fractional, one for the whole batch; `context (B,T,D)`.
        """
        ...

    def encode_image(self, pixels: NDArray[np.float32]) -> Array:
        """Return the mean latents `(B,C,h,w)`, scaled to unit variance, of `pixels (B,3,H,W)` in [-1, 1]."""
        ...

    def decode(self, latents: Array) -> NDArray[np.float32]:
        """Return the pixels `(B,3,H,W)`, about [-1, 1] and not clipped, of scaled latents `(B,C,h,w)`."""
        ...

    def max_rows(self, height: int, width: int) -> int:
        """Return how many rows of latents `height x width` one `predict` call may hold, at least 1."""
        ...
