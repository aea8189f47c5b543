"""How much of every place of a picture each prompt decides, of regions and of mixes in bands."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.imaging.inputs import Inputs
from sfumato.recipe.image import Resolved
from sfumato.recipe.resolved_parts import FractionBox, ResolvedRegions

FINE = 8  # samples per latent and side: an edge inside a latent counts by what it covers

# A mix in bands divides the middle of a picture, where what it shows is; a band of nothing lies outside.
MARGIN = 0.15  # of the height, above and below
SOFT = 0.2  # of the height: how far bands run into each other
ENDS = ((0.0, 0.1, 0.9, 1.0), (-SOFT / 2, 0.1 + 0.8 * MARGIN, 0.9 - 0.8 * MARGIN, 1 + SOFT / 2))


def has_maps(resolved: Resolved) -> bool:
    """Tell whether prompts have shares that differ from place to place: see `share_maps`."""
    return resolved.regions is not None or resolved.bands is not None


def share_maps(resolved: Resolved, height: int, width: int, inputs: Inputs) -> NDArray[np.float32]:
    """Return the maps `(R,1,1,h,w)` that the branches of a recipe's plan are weighted with: the bands of its
    mix, where regions leave anything, then its regions. Raises PictureError as `region_maps` does.
    """
    regions = np.zeros((0, 1, 1, height, width), np.float32)
    if resolved.regions is not None:
        regions = region_maps(resolved.regions, height, width, inputs)
    if resolved.bands is None:
        return regions
    bands = band_maps(resolved.bands, height, width)
    return np.concatenate([bands * (1 - regions.sum(axis=0)), regions])


def band_maps(shares: Sequence[float], height: int, width: int) -> NDArray[np.float32]:
    """Return how much of each of `height` x `width` latents each band decides, `(K,1,1,h,w)`: they sum to
    one. The first is uppermost; each is as high as its share in `shares` of what lies between the margins,
    but for the last tenth above and below, which takes the margin along.
    """
    places = (np.arange(height * FINE) + 0.5) / (height * FINE)
    ends = np.interp(np.cumsum(shares)[:-1], *ENDS)
    begun = [_ramp((places - end) / SOFT + 0.5).reshape(height, FINE).mean(axis=1) for end in ends]
    begun = np.stack([np.ones(height), *begun, np.zeros(height)])
    bands = (begun[:-1] - begun[1:])[:, None, None, :, None]
    return np.broadcast_to(bands, (len(shares), 1, 1, height, width)).astype(np.float32)


def region_maps(part: ResolvedRegions, height: int, width: int, inputs: Inputs) -> NDArray[np.float32]:
    """Return the share `(R,1,1,h,w)` of each region at each of `height` x `width` latents, in [0, 1].

    They sum to at most one: where regions overlap they share equally, and what they leave is the main
    prompt's. Edges are soft over `part.feather` of the shorter side, halfway inside and halfway outside.
    Raises PictureError when a mask's picture is not among `inputs`.
    """
    feather = part.feather * min(height, width)
    shapes: list[NDArray[np.float64]] = []
    for region in part.regions:
        if region.box is not None:
            shapes.append(region.ratio * _rectangle(region.box, height, width, feather))
        elif region.source is not None:
            picture = inputs.picture(region.source.sha256, region.source.name)
            grey = Image.fromarray(picture.pixels).convert("L")
            small = np.asarray(grey.resize((width, height), Image.Resampling.BOX), np.float64) / 255
            shapes.append(region.ratio * small)
    whole = np.stack(shapes)
    total = np.maximum(whole.sum(axis=0, keepdims=True), 1.0)
    return (whole / total)[:, None, None].astype(np.float32)


def _rectangle(box: FractionBox, height: int, width: int, feather: float) -> NDArray[np.float64]:
    left, top, wide, high = box
    across = _span(left * width, (left + wide) * width, width, feather)
    down = _span(top * height, (top + high) * height, height, feather)
    return down[:, None] * across


def _span(low: float, high: float, size: int, feather: float) -> NDArray[np.float64]:
    """Return how much each of `size` cells lies between `low` and `high`, with ramps `feather` cells wide
    around both; an end at the picture's edge has none.
    """
    places = (np.arange(size * FINE) + 0.5) / FINE
    rise = np.ones_like(places) if low <= 0 else _ramp((places - low) / max(feather, 1e-6) + 0.5)
    fall = np.ones_like(places) if high >= size else _ramp((high - places) / max(feather, 1e-6) + 0.5)
    return (rise * fall).reshape(size, FINE).mean(axis=1)


def _ramp(t: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
