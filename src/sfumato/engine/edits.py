"""Drawing from a picture: where it begins, what of it is kept, and how the result gets back into it.

What is kept is a projection (`KeepKnown`): before the network the kept latents are the image's with the
noise of this level, after it the image's themselves, so that every solver carries them through unchanged.
The pixels outside a mask come from the picture itself in the end, bit for bit.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.plan import Guided, Projection
from sfumato.imaging.fitting import Window, extend, fit, match_colours, resize, resize_mask, surroundings
from sfumato.imaging.inputs import Inputs
from sfumato.imaging.masks import (
    HALF,
    Mask,
    composite,
    fill_from_around,
    led_in,
    make_mask,
    shrink_to_cells,
    without_seam,
)
from sfumato.models import tiling
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle, tiles_alike
from sfumato.recipe.image import Resolved
from sfumato.samplers.arrays import array_namespace

Pixels = NDArray[np.uint8]

ALMOST = 1e-6


@dataclass(frozen=True, eq=False)
class KeepKnown:
    """Keeps `known (1,C,h,w)` where it is not free yet, with the noise `noise (B,C,h,w)` it began with.

    `free (1,1,h,w)` in [0, 1] says from which share of the drawn steps on a place is free: 1 from the first,
    0 never, 0.5 from the middle on. `levels` are the noise levels of the drawn steps, falling.
    """

    known: Array
    noise: Array
    free: Array
    levels: tuple[float, ...]

    def before(self, x: Array, sigma: float) -> Array:
        xp = array_namespace(x)
        return xp.where(self._is_free(sigma), x, self.known + self.noise * sigma)

    def after(self, x0: Array, guided: Guided) -> Array:
        xp = array_namespace(x0)
        return xp.where(self._is_free(guided.sigma), x0, xp.zeros_like(x0) + self.known)

    def _is_free(self, sigma: float) -> Array:
        # Levels above this one: the steps that are done, also when a solver asks between two levels.
        done = bisect_left([-level for level in self.levels], -sigma)
        return (self.free > 0) & (self.free + done / len(self.levels) >= 1 - ALMOST)


@dataclass(frozen=True, eq=False)
class Edit:
    """A drawing that begins with a picture. Make it with `prepare`.

    `canvas` is the picture as it will come back, `drawn (H,W,3)` what of it is at the size of the drawing;
    `latents (1,C,h,w)` are those of `drawn`. With a mask, `window` is the part of the canvas that is drawn,
    `mask` is the mask on the canvas, `share` how much of each pixel is new, and `free` says when each latent
    is free, as in `KeepKnown`. `only_noise`: what is drawn begins with noise alone. `channels (1,1+C,h,w)` is
    what an inpainting UNet is given beside x.
    """

    canvas: Pixels
    drawn: Pixels
    latents: Array
    window: Window | None
    mask: Mask | None
    share: Mask | None
    free: Array | None
    only_noise: bool
    keep_colour: bool
    channels: Array | None

    def begin(self, noise: Array, sigma: float, *, first: bool) -> Array:
        """Return x `(B,C,h,w)` at noise level `sigma` from standard noise. `first`: it is the first level of
        the grid, where the network expects noise of variance one and no signal.
        """
        x = self.latents + noise * sigma
        if not self.only_noise:
            return x
        xp = array_namespace(x)
        nothing = noise * (math.sqrt(1 + sigma * sigma) if first else sigma)
        return nothing if self.free is None else xp.where(self.free > 0, nothing, x)

    def keeping(self, noise: Array, levels: Sequence[float]) -> tuple[Projection, ...]:
        """Return the projection that keeps what is not free: none without a mask, and none with a UNet that
        is shown what is to be kept.
        """
        if self.free is None or self.channels is not None or not levels:
            return ()
        return (KeepKnown(self.latents, noise, self.free, tuple(levels)),)

    def finish(self, pixels: Pixels | None) -> Pixels:
        """Return the picture that the drawn `pixels (H,W,3)` make; None when no step was drawn."""
        if pixels is None:
            return self.canvas
        if self.keep_colour:
            pixels = match_colours(pixels, self.drawn)
        if self.mask is None or self.share is None or self.window is None:
            return pixels
        old, mask = self.window.of(self.canvas), self.window.of(self.mask)
        new = without_seam(old, resize(pixels, self.window.width, self.window.height), mask)
        result = self.canvas.copy()
        self.window.of(result)[:] = composite(old, new, self.window.of(self.share))
        return result


def prepare(resolved: Resolved, bundle: ModelBundle, inputs: Inputs) -> Edit | None:
    """Return the edit that a recipe asks for: None when it begins with no picture.

    Encodes the picture. Raises PictureError when it is not among `inputs`, or its mask cannot be used.
    """
    part = resolved.image
    if part is None:
        return None
    image = inputs.picture(part.source.sha256, part.source.name)
    size = resolved.width, resolved.height
    canvas, mask, soft, fill, window = image.pixels, None, False, "original", None
    if resolved.mask is not None:
        wanted = resolved.mask
        source = None if wanted.source is None else inputs.picture(wanted.source.sha256, wanted.source.name)
        mask, soft, fill = make_mask(wanted, image, source), wanted.soft, wanted.fill
        whole = Window(0, 0, canvas.shape[1], canvas.shape[0])
        window = surroundings(mask, wanted.padding, *size) if wanted.extent == "masked" else whole
    elif resolved.extend is not None:
        more = resolved.extend
        height, width = canvas.shape[:2]
        canvas = extend(canvas, more.left, more.right, more.top, more.bottom)
        mask = np.ones(canvas.shape[:2], np.float32)
        mask[more.top : more.top + height, more.left : more.left + width] = 0
        window, fill = Window(0, 0, canvas.shape[1], canvas.shape[0]), more.fill
    if mask is None or window is None:
        drawn = fit(canvas, *size, part.fit)
        latents = encode(bundle, drawn, tiled=resolved.windows is not None)
        # A model that is shown the picture beside x begins with noise.
        only_noise = bundle.shown is not None and resolved.first_step == 0
        return Edit(drawn, drawn, latents, None, None, None, None, only_noise, part.keep_colour, None)
    return edit_of(resolved, bundle, canvas, mask, window, fill, soft=soft)


def edit_of(
    resolved: Resolved,
    bundle: ModelBundle,
    canvas: Pixels,
    mask: Mask,
    window: Window,
    fill: str,
    *,
    soft: bool = False,
) -> Edit:
    """Return the edit that draws what `mask` marks in `window` of `canvas`; the mask begins with `fill`."""
    shown, frame = window.of(canvas), window.of(mask)
    if fill == "blur" and resolved.mask is not None:
        shown = fill_from_around(shown, (frame > 0).astype(np.float32))
    size = resolved.width, resolved.height
    drawn = resize(shown, *size)
    frame = resize_mask(frame, *size)
    cells = shrink_to_cells(frame, size[1] // bundle.downsample, size[0] // bundle.downsample)
    free = cells if soft else (cells > 0).astype(np.float32)
    return Edit(
        canvas=canvas,
        drawn=drawn,
        latents=encode(bundle, drawn),
        window=window,
        mask=mask,
        share=_share(resolved, mask),
        free=bundle.backend.asarray(free[None, None]),
        only_noise=fill == "noise",
        keep_colour=resolved.image is not None and resolved.image.keep_colour,
        channels=inpaint_channels(bundle, drawn, frame, cells) if bundle.inpaints else None,
    )


def _share(resolved: Resolved, mask: Mask) -> Mask:
    """Return how much of each pixel is new. What an extension adds was not there before; and grey places of a
    soft mask are drawn, only less far: their own edge leads over to what is kept.
    """
    if resolved.mask is None:
        return mask
    return np.minimum(4 * mask, 1).astype(np.float32) if resolved.mask.soft else led_in(mask)


def encode(bundle: ModelBundle, pixels: Pixels, *, tiled: bool = False) -> Array:
    """Return the latents `(1,C,h,w)` of `pixels (H,W,3)` uint8; `tiled`: in tiles where they are large."""
    if tiled:
        tiles = tiles_alike(
            bundle, pixels.shape[0] // bundle.downsample, pixels.shape[1] // bundle.downsample
        )
        return tiling.encode_pixels(bundle.backend, pixels, bundle.downsample, tiles)
    return bundle.backend.encode_image(_scaled(pixels))


def inpaint_channels(bundle: ModelBundle, drawn: Pixels, mask: Mask, cells: Mask) -> Array:
    """Return what an inpainting UNet takes beside x, `(1,1+C,h,w)`: the mask on latents, and the latents of
    the picture with what is masked in grey (runwayml's Stable Diffusion inpainting, 2022).
    """
    hidden = _scaled(drawn) * (mask < HALF)
    latents = bundle.backend.encode_image(hidden.astype(np.float32))
    marked = bundle.backend.asarray((cells >= HALF).astype(np.float32)[None, None])
    return array_namespace(latents).concat([marked, latents], axis=1)


def nothing_kept(bundle: ModelBundle, width: int, height: int) -> Array:
    """Return `inpaint_channels` for a drawing without a picture: everything is masked."""
    drawn = np.full((height, width, 3), 128, np.uint8)
    mask = np.ones((height, width), np.float32)
    cells = np.ones((height // bundle.downsample, width // bundle.downsample), np.float32)
    return inpaint_channels(bundle, drawn, mask, cells)


def _scaled(pixels: Pixels) -> NDArray[np.float32]:
    return np.moveaxis(pixels.astype(np.float32) / 127.5 - 1, -1, 0)[None]
