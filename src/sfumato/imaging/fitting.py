"""Bring pictures to the size of a drawing, and drawings back to their place in a picture."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.imaging.masks import Mask, fill_from_around

Pixels = NDArray[np.uint8]
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture in pixels; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def of(self, array: NDArray[_Number]) -> NDArray[_Number]:
        """Return this rectangle of an array `(H,W,...)`: a view."""
        return array[self.top : self.bottom, self.left : self.right]


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return `pixels (H,W,3)` at another size (Lanczos); the same array when it has that size already."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def resize_mask(mask: Mask, width: int, height: int) -> Mask:
    """Return `mask (H,W)` at another size, as large as it is anywhere in what a pixel covers."""
    # An average would thin fine lines out; what is touched at all has to be drawn.
    mask = _largest(_largest(mask, height).T, width).T
    if mask.shape == (height, width):
        return mask
    image = Image.fromarray(np.ascontiguousarray(mask))
    return np.clip(np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)), 0, 1)


def fit(pixels: Pixels, width: int, height: int, how: Literal["crop", "fill", "stretch"]) -> Pixels:
    """Return `pixels (H,W,3)` as a picture of `width` x `height`.

    "crop" keeps the middle, "fill" the whole picture with what is at its edge continued beside it, "stretch"
    the whole picture with other proportions.
    """
    have = pixels.shape[1], pixels.shape[0]
    if have == (width, height) or how == "stretch":
        return resize(pixels, width, height)
    scales = width / have[0], height / have[1]
    if how == "crop":
        scale = max(scales)
        wide = min(have[0], max(1, round(width / scale)))
        high = min(have[1], max(1, round(height / scale)))
        left, top = (have[0] - wide) // 2, (have[1] - high) // 2
        return resize(pixels[top : top + high, left : left + wide], width, height)
    scale = min(scales)
    wide, high = max(1, round(have[0] * scale)), max(1, round(have[1] * scale))
    left, top = (width - wide) // 2, (height - high) // 2
    return extend(resize(pixels, wide, high), left, width - wide - left, top, height - high - top)


def extend(pixels: Pixels, left: int, right: int, top: int, bottom: int) -> Pixels:
    """Return `pixels (H,W,3)` with so many pixels more at each side: a smooth continuation of its edge."""
    if left == right == top == bottom == 0:
        return pixels
    height, width = pixels.shape[:2]
    whole = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="edge")
    mask = np.ones(whole.shape[:2], np.float32)
    mask[top : top + height, left : left + width] = 0
    return fill_from_around(whole, mask)


def surroundings(mask: Mask, padding: int, width: int, height: int) -> Window:
    """Return the smallest window around what `mask (H,W)` marks, with `padding` pixels around it, that has
    the proportions of `width` to `height`; cut off at the picture's edge where it has to be.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    high, wide = mask.shape
    top, bottom = int(rows[0]) - padding, int(rows[-1]) + 1 + padding
    left, right = int(columns[0]) - padding, int(columns[-1]) + 1 + padding
    need_wide = max(right - left, round((bottom - top) * width / height))
    need_high = max(bottom - top, round((right - left) * height / width))
    left, right = _spread(left, right, need_wide, wide)
    top, bottom = _spread(top, bottom, need_high, high)
    return Window(left, top, right, bottom)


def match_colours(pixels: Pixels, like: Pixels) -> Pixels:
    """Return `pixels (H,W,3)` with the mean and the spread of colours of `like`, in a space whose axes are
    nearly independent in natural pictures (Reinhard et al. 2001, "Color Transfer between Images").
    """
    source, target = _opponent(pixels), _opponent(like)
    mean, spread = source.mean(axis=(0, 1)), source.std(axis=(0, 1))
    ratio = target.std(axis=(0, 1)) / np.maximum(spread, 1e-3)
    # A plain picture has next to no spread: to blow it up would blow up noise.
    matched = (source - mean) * np.minimum(ratio, 4.0) + target.mean(axis=(0, 1))
    rgb = matched @ _FROM_OPPONENT.T
    return np.clip(rgb.round(), 0, 255).astype(np.uint8)


# Brightness, yellow against blue, red against green: orthonormal.
_AXES = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]], np.float32)
_TO_OPPONENT = _AXES / np.linalg.norm(_AXES, axis=1, keepdims=True)
_FROM_OPPONENT = _TO_OPPONENT.T


def _largest(mask: Mask, rows: int) -> Mask:
    """Return the largest values in each of `rows` equally high strips of `mask`; `mask` when it has fewer."""
    height = mask.shape[0]
    if rows >= height:
        return mask
    strips = np.arange(rows)
    first, stop = strips * height // rows, -(-(strips + 1) * height // rows)
    ends = np.stack([first, stop], axis=1).ravel()
    padded = np.pad(mask, ((0, 1), (0, 0)))  # `reduceat` wants the last end inside
    return np.maximum.reduceat(padded, ends, axis=0)[::2]


def _opponent(pixels: Pixels) -> NDArray[np.float32]:
    return pixels.astype(np.float32) @ _TO_OPPONENT.T


def _spread(low: int, high: int, need: int, size: int) -> tuple[int, int]:
    """Widen `[low, high)` to `need` evenly, and shift it into `[0, size)`; all of that where it is longer."""
    low -= (need - (high - low)) // 2
    if need >= size:
        return 0, size
    low = min(max(low, 0), size - need)
    return low, low + need
