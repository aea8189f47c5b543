"""Masks: made, grown, feathered, and pictures put together by them so that no seam shows.

A mask is float32 `(H,W)` in [0, 1]: 1 is drawn anew, 0 is kept. Where it is exactly 0, what is put together
is the old picture bit for bit.
"""

from math import isqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.errors import PictureError
from sfumato.imaging.inputs import InputPicture
from sfumato.recipe.resolved_parts import ResolvedMask

Mask = NDArray[np.float32]

HALF: Final = 0.5
ASPECT_TOLERANCE: Final = 0.02
SEAM_BAND: Final = 12  # pixels over which a difference at the mask's border is led to nothing
LEAD_IN: Final = (0.5, 0.8)  # shares of the new picture, from the border inwards
RELAXATIONS: Final = 40
SEAM_SCALES: Final = (8.0, 3.0, 1.0)


def make_mask(part: ResolvedMask, image: InputPicture, source: InputPicture | None) -> Mask:
    """Return the mask `(H,W)` of `part` for `image`; `source` is the mask's own picture, if it has one.

    A mask of another size is stretched to the image's when it has its proportions. Unless the part is `soft`,
    what is at least half white counts as white. Raises PictureError for a mask of other proportions, and one
    that is empty.
    """
    height, width = image.pixels.shape[:2]
    mask: Mask
    if source is not None:
        mask = _picture_mask(source, width, height)
    elif part.box is not None:
        left, top, right, bottom = part.box
        mask = np.zeros((height, width), np.float32)
        mask[top:bottom, left:right] = 1
    else:
        alpha = np.full((height, width), 255, np.uint8) if image.alpha is None else image.alpha
        mask = (255 - alpha).astype(np.float32) / np.float32(255)
    if part.invert:
        mask = np.float32(1) - mask
    if not part.soft:
        mask = (mask >= HALF).astype(np.float32)
    if part.grow:
        mask = grow(mask, part.grow)
    if not mask.any():
        raise PictureError(
            "the mask is empty: nothing would be drawn",
            field="mask",
            value=None if source is None else source.facts.name,
            hint="What is white is drawn anew; --mask-invert turns it round.",
        )
    return feather(mask, part.feather) if part.feather else mask


def grow(mask: Mask, radius: int) -> Mask:
    """Return `mask` with its white grown by a disc of `radius` pixels, or its black for a negative one."""
    if radius < 0:
        return np.float32(1) - grow(np.float32(1) - mask, -radius)
    result = mask.copy()
    if radius == 0 or not mask.any():
        return result
    place = _around(mask > 0, radius)  # a small spot of a large picture is quick
    near = mask[place]
    # In bytes where they suffice: a quarter of the memory to go through.
    values = near.astype(np.uint8) if ((near == 0) | (near == 1)).all() else near
    height = values.shape[0]
    grown, rows, covered = values.copy(), values, 0
    for dy in range(min(radius, height - 1), -1, -1):  # the disc's rows become wider towards its middle
        reach = isqrt(radius * radius - dy * dy)
        rows, covered = _wider(rows, covered, reach), reach
        np.maximum(grown[dy:], rows[: height - dy], out=grown[dy:])
        np.maximum(grown[: height - dy], rows[dy:], out=grown[: height - dy])
    result[place] = grown
    return result


def feather(mask: Mask, radius: int) -> Mask:
    """Return `mask` with an edge that falls from 1 to 0 over `radius` pixels outwards; white stays white."""
    radius = min(radius, max(mask.shape))
    wide = grow(mask, max(1, radius // 2))
    blurred = _blurred(wide, radius / 3)
    # A Gaussian's tail has no end; an edge must have one, as what is not exactly 0 is changed.
    reach = grow(mask, radius) > 0
    return np.maximum(mask, np.where(reach, blurred, 0)).astype(np.float32)


def shrink_to_cells(mask: Mask, rows: int, columns: int) -> Mask:
    """Return the largest value of `mask` in each cell of a grid of `rows` x `columns`.

    The sides of the mask must be multiples of the grid's.
    """
    height, width = mask.shape
    return mask.reshape(rows, height // rows, columns, width // columns).max(axis=(1, 3))


def composite(old: NDArray[np.uint8], new: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """Return `new` where `mask` is 1, `old` where it is 0, and between them what lies between; all `(H,W,3)`.

    Where the mask is 0, the result is `old`, bit for bit.
    """
    share = mask[..., None]
    mixed = old + share * (new.astype(np.float32) - old)
    return np.where(share > 0, np.clip(mixed.round(), 0, 255), old).astype(np.uint8)


def led_in(mask: Mask) -> Mask:
    """Return `mask` with less weight for the outermost pixels of what it marks, where the old picture shines
    through: details that end at the border in one of the pictures do not end on one line.
    """
    result, rest = mask.copy(), mask > 0
    for share in LEAD_IN:
        within = rest & ~(grow((~rest).astype(np.float32), 1) > 0)
        result[rest & ~within] *= share
        rest = within
    return result


def without_seam(old: NDArray[np.uint8], new: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """Return `new (H,W,3)` changed near the border of `mask` so that it meets `old` without a step.

    What differs on the kept side of the border is spread into the mask, less and less over `SEAM_BAND`
    pixels: a membrane as in Pérez et al. 2003 ("Poisson Image Editing", Eq. 2 to 4) that is let go of inside.
    An autoencoder gives back the colours of what it is to keep a little wrong; this is what it costs at the
    border.
    """
    inside = mask > 0
    if inside.all() or not inside.any():
        return new
    place = _around(inside, round(3 * SEAM_SCALES[0]))
    result = new.copy()
    result[place] = _led_over(old[place], new[place], inside[place])
    return result


def fill_from_around(pixels: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """Return `pixels (H,W,3)` with what is masked replaced by a smooth continuation of what is around it.

    Averages of what is known, from coarse to fine (Gortler et al. 1996, "The Lumigraph", Section 3.4,
    push-pull). A picture that is masked as a whole becomes grey.
    """
    known = (1 - mask)[..., None].astype(np.float32)
    if not known.any():
        return np.full_like(pixels, 128)
    filled = _push_pull(pixels.astype(np.float32) * known, known)
    mixed = np.where(known >= 1, pixels, filled)
    return np.clip(mixed.round(), 0, 255).astype(np.uint8)


def _picture_mask(source: InputPicture, width: int, height: int) -> Mask:
    facts = source.facts
    if abs(facts.width * height / (facts.height * width) - 1) > ASPECT_TOLERANCE:
        raise PictureError(
            f"its proportions are not those of the image, {width}x{height}",
            field="mask",
            value=f"{facts.width}x{facts.height}",
            hint="Give a mask of the image's size.",
        )
    grey = Image.fromarray(source.pixels).convert("L")
    mask: Mask = np.asarray(grey, np.float32) / np.float32(255)
    if source.alpha is not None:
        mask *= source.alpha.astype(np.float32) / np.float32(255)  # transparent means: not painted on
    if mask.shape == (height, width):
        return mask
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(resized, np.float32), 0, 1).astype(np.float32)


def _wider(rows: NDArray[Any], covered: int, reach: int) -> NDArray[Any]:
    """Return the largest value within `reach` columns to either side, given that within `covered`."""
    width = rows.shape[1]
    while covered < reach:
        step = min(covered + 1, reach - covered)  # further, and windows over the edge would leave a gap
        if covered + step >= width:
            return np.broadcast_to(rows.max(axis=1, keepdims=True), rows.shape)
        wider = rows.copy()
        np.maximum(wider[:, step:], rows[:, :-step], out=wider[:, step:])
        np.maximum(wider[:, :-step], rows[:, step:], out=wider[:, :-step])
        rows, covered = wider, covered + step
    return rows


def _blurred(values: Mask, sigma: float) -> Mask:
    """Return `values (H,W)` after a Gaussian of `sigma` pixels, edges continued: three box filters."""
    radius = max(1, round((sigma * sigma * 12 / 3 + 1) ** 0.5 / 2 - 0.5))
    result: NDArray[np.float64] = values.astype(np.float64)
    for _ in range(3):
        for axis in (0, 1):
            size = result.shape[axis]
            pad = [(0, 0), (0, 0)]
            pad[axis] = (radius + 1, radius)
            total = np.cumsum(np.pad(result, pad, mode="edge"), axis=axis)
            high, low = slice(2 * radius + 1, size + 2 * radius + 1), slice(0, size)
            places = (
                ((high, slice(None)), (low, slice(None)))
                if axis == 0
                else ((slice(None), high), (slice(None), low))
            )
            result = (total[places[0]] - total[places[1]]) / (2 * radius + 1)
    return result.astype(np.float32)


def _led_over(old: NDArray[np.uint8], new: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    ring = (grow(inside.astype(np.float32), 1) > 0) & ~inside
    fall = _fall(inside)
    band = inside & (fall > 0)
    wanted = np.where(ring[..., None], old.astype(np.float32) - new, 0)  # zero inside the band's inner end
    change = np.zeros_like(wanted)
    for scale in SEAM_SCALES:  # a good guess, from wide to narrow
        weight = _blurred(ring.astype(np.float32), scale) + 1e-6
        left = (wanted - change) * ring[..., None]
        for channel in range(3):
            spread = _blurred(left[..., channel], scale) / weight
            change[..., channel] += np.where(band | ring, spread * fall, 0)
    change = np.where(ring[..., None], wanted, change)
    for _ in range(RELAXATIONS):  # Jacobi: every place of the band becomes the mean of its neighbours
        padded = np.pad(change, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        change = np.where(band[..., None], mean / 4, change)
    return np.clip((new + change).round(), 0, 255).astype(np.uint8)


def _around(inside: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Return the rows and columns that hold `inside`, with a margin."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _fall(inside: NDArray[np.bool_]) -> Mask:
    """Return 1 at the border of `inside` and outside, falling to 0 at `SEAM_BAND` pixels inside."""
    depth = np.zeros(inside.shape, np.float32)
    rest = inside
    for _ in range(SEAM_BAND):
        rest = rest & ~(grow((~rest).astype(np.float32), 1) > 0)
        if not rest.any():
            break
        depth += rest
    t = np.clip(1 - depth / SEAM_BAND, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _push_pull(weighted: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return colours `(H,W,3)` where `weight (H,W,1)` is small filled from coarser averages."""
    height, width = weight.shape[:2]
    here: NDArray[np.float32] = (weighted / np.maximum(weight, 1e-6)).astype(np.float32)
    if height == 1 and width == 1:
        return here
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    half = ((height + 1) // 2, 2, (width + 1) // 2, 2, -1)
    small_weight = np.pad(weight, pad).reshape(half).sum(axis=(1, 3))
    small = np.pad(weighted, pad).reshape(half).sum(axis=(1, 3))
    scale = np.minimum(1, small_weight) / np.maximum(small_weight, 1e-6)
    coarse = _push_pull((small * scale).astype(np.float32), np.minimum(1, small_weight))
    bands = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(coarse[..., band])).resize(
                (2 * coarse.shape[1], 2 * coarse.shape[0]), Image.Resampling.BILINEAR
            )
        )
        for band in range(coarse.shape[2])
    ]
    wide = np.stack(bands, axis=-1)[:height, :width]
    covered = np.minimum(1, weight)
    return (here * covered + wide * (1 - covered)).astype(np.float32)
