"""Pictures of a run in progress, at a small part of a step's cost.

A model may bring a tiny decoder for it (`ModelFiles.tiny_decoder`). For any other, the decoder's colours are
used: a decoder is nearly linear at a coarse scale, the colour of a patch follows the latent at its place. So
one 3xC matrix and an offset, fitted by least squares to what the decoder makes of a few random smooth
latents, turns a clean prediction into a picture with one small multiplication. Fitting costs about two
decodes; every preview after it well under a millisecond.
"""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sfumato.models import tiling
from sfumato.models.backends.base import Backend

SAMPLES = 8  # pictures of EDGE x EDGE latents to fit on
EDGE = 8
SHARE: Final = 25  # the time for previews is one part in so many of the drawing's, where they are paced
COARSE = 2  # half of the samples vary at this edge, as real pictures have large plain areas


class Previewer(Protocol):
    """Turns clean predictions into pictures."""

    def __call__(self, x0: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return approximate pictures `(B,H,W,3)`, full size, of clean latents `x0 (B,C,h,w)`."""
        ...


@dataclass(frozen=True, eq=False)
class LinearPreviewer:
    """`matrix (C,3)` and `offset (3,)` from a latent to a colour; `downsample` pixels per latent, all of one
    colour.
    """

    matrix: NDArray[np.float32]
    offset: NDArray[np.float32]
    downsample: int

    def __call__(self, x0: NDArray[np.float32]) -> NDArray[np.uint8]:
        colours = to_uint8(np.moveaxis(x0, 1, -1) @ self.matrix + self.offset)
        return colours.repeat(self.downsample, axis=1).repeat(self.downsample, axis=2)


@dataclass(frozen=True, eq=False)
class TinyPreviewer:
    """The tiny decoder of `backend`, one picture at a time, so that a batch needs no more memory."""

    backend: Backend

    def __call__(self, x0: NDArray[np.float32]) -> NDArray[np.uint8]:
        pixels = [tiling.decode_tiny(self.backend, self.backend.asarray(one[None])) for one in x0]
        return to_uint8(np.moveaxis(np.concatenate(pixels), 1, -1))


@dataclass(eq=False)
class Pace:
    """When previews are due: with every `every`-th step, 0 none. With a `pause` above 0, seconds, never
    within that of the preview before, nor within `SHARE` times what that one took, nor within half of it of
    the beginning: where steps are quick, previews would be much of the work. A context in which one is made.
    """

    every: int
    pause: float = 0.0
    _next: float = field(init=False)
    _began: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._next = time.monotonic() + self.pause / 2

    def is_due(self, finished: int) -> bool:
        """Tell whether a preview shall be made after `finished` steps."""
        if self.every == 0 or finished % self.every:
            return False
        return self.pause <= 0 or time.monotonic() >= self._next

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now = time.monotonic()
        self._next = now + max(self.pause, SHARE * (now - self._began))


def previewer_of(backend: Backend, latent_channels: int, downsample: int) -> Previewer:
    """Return the best previewer of a model: its tiny decoder where it has one, else the linear fit."""
    if backend.has_tiny_decoder:
        return TinyPreviewer(backend)
    return fit_previewer(backend, latent_channels, downsample)


def fit_previewer(backend: Backend, latent_channels: int, downsample: int) -> LinearPreviewer:
    """Fit the linear picture of `backend`'s decoder; always the same one for the same decoder."""
    random = np.random.default_rng(0)
    fine = random.standard_normal((SAMPLES // 2, latent_channels, EDGE, EDGE))
    coarse = random.standard_normal((SAMPLES // 2, latent_channels, COARSE, COARSE))
    coarse = coarse.repeat(EDGE // COARSE, axis=2).repeat(EDGE // COARSE, axis=3)
    latents = np.concatenate([fine, coarse]).astype(np.float32)
    pixels = backend.decode(backend.asarray(latents))
    patches = pixels.reshape(SAMPLES, 3, EDGE, downsample, EDGE, downsample).mean(axis=(3, 5))
    inputs = np.moveaxis(latents, 1, -1).reshape(-1, latent_channels)
    design = np.concatenate([inputs, np.ones((len(inputs), 1), np.float32)], axis=1)
    fitted, *_ = np.linalg.lstsq(design, np.moveaxis(patches, 1, -1).reshape(-1, 3), rcond=None)
    return LinearPreviewer(fitted[:-1].astype(np.float32), fitted[-1].astype(np.float32), downsample)


def to_uint8(pixels: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return pixels in [-1, 1], clipped, as bytes, rounded to the nearest as diffusers does."""
    return (np.clip(pixels / 2 + 0.5, 0, 1) * 255).round().astype(np.uint8)
