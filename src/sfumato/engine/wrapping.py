"""Textures that go on around their sides: the network sees the latents continued, and draws what fits.

Before each call the latents are continued around by an eighth of their side, and cut back after; the decoder
sees them continued as well. It needs nothing of a backend. On the bundled model, and 8 prompts, the
alternatives were worse: with convolutions that wrap, and with latents that are shifted at every step, the
network no longer knows where the sides are and draws shapeless objects; with a quarter of the side it draws
several. See docs/how-to/steer.md for what is left of the seam.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.plan import Plan
from sfumato.engine.steering import Steering
from sfumato.models import tiling
from sfumato.models.backends.base import Array
from sfumato.recipe.extras import Axes
from sfumato.samplers.arrays import array_namespace

SHARE: Final = 8  # of the side, for the network
LEAST: Final = 2
OF_DECODER: Final = 4  # latents

Margin = tuple[int, int]  # rows above and below, columns left and right


def margin_of(axes: Axes, height: int, width: int) -> Margin:
    """Return how far latents of this size are continued for the network: an even number, at most the side."""

    def of(side: int) -> int:
        return min(side, max(LEAST, side // SHARE // 2 * 2))

    return (0 if axes == "x" else of(height)), (0 if axes == "y" else of(width))


def around(x: Array, margin: Margin) -> Array:
    """Return `x (...,h,w)` continued around its sides by `margin` rows and columns at each."""
    xp = array_namespace(x)
    rows, columns = margin
    if rows:
        x = xp.concat([x[..., -rows:, :], x, x[..., :rows, :]], axis=-2)
    if columns:
        x = xp.concat([x[..., -columns:], x, x[..., :columns]], axis=-1)
    return x


def within(x: Array, margin: Margin) -> Array:
    """Return what `around` was given."""
    rows, columns = margin
    return x[..., rows : x.shape[-2] - rows, columns : x.shape[-1] - columns]


def within_picture(pixels: NDArray[np.uint8], margin: Margin, downsample: int) -> NDArray[np.uint8]:
    """Return the picture `(H,W,3)` that latents had `margin` around."""
    rows, columns = (one * downsample for one in margin)
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(pixels[rows : height - rows, columns : width - columns])


def decoder_margin(axes: Axes, height: int, width: int) -> Margin:
    """Return how far latents of this size are continued for the decoder."""
    return (0 if axes == "x" else min(OF_DECODER, height)), (0 if axes == "y" else min(OF_DECODER, width))


def larger(shape: tuple[int, int], margin: Margin) -> tuple[int, int]:
    """Return the height and width of latents of `shape` with `margin` around them."""
    return shape[0] + 2 * margin[0], shape[1] + 2 * margin[1]


def continued(
    plan: Plan, steering: tuple[Steering, ...], shape: tuple[int, int], most: int | None, downsample: int
) -> tuple[Plan, tuple[Steering, ...], tuple[int, int], tuple[int, int] | None]:
    """Return what a network is shown that sees latents of `shape` continued: the plan and the ControlNets
    with their arrays continued, the height and width it sees, and those that are decoded at a time, of at
    most `most` latents. Without tiling, the plan as it is.
    """
    axes = plan.tiling
    if axes is None:
        return plan, steering, shape, None
    rows, columns = margin = margin_of(axes, *shape)
    if plan.channels is not None:
        plan = replace(plan, channels=around(plan.channels, margin))
    in_pixels = rows * downsample, columns * downsample
    steering = tuple(replace(one, hint=around(one.hint, in_pixels)) for one in steering)
    decoded = larger(shape, decoder_margin(axes, *shape))
    tile = tiling.tile_within(*decoded, most)
    return plan, steering, larger(shape, margin), decoded if tile is None else tile
