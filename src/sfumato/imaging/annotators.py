"""What of a picture a ControlNet is shown: edges, lines, grey, coarse colours, a blur, areas of one colour.

Every annotator takes a picture, uint8 (H,W,3), and returns one of the same size. Lines are white on black, as
ControlNets have them. Nothing here has weights, so nothing is downloaded; for one picture of 512x512 each
takes a tenth of a second or less.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Bits: TypeAlias = NDArray[np.bool_]

CANNY_SIGMA: Final = 1.0  # pixels; edges nearer to each other than this melt into one
CANNY_WEAK: Final = 0.035  # change of brightness per pixel, of 0..1: a sharp edge between levels a and b has
CANNY_STRONG: Final = 0.09  # about a third of their difference
LINE_SIGMA: Final = 0.7  # pixels; the surroundings that a line is compared with are three times as wide
LINE_SURROUNDINGS: Final = 3.0
CELLS: Final = 16  # of the colour map, along the shorter side
BLUR: Final = 1 / 32  # of the shorter side
SEGMENTS: Final = 8  # colours
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_NEIGHBOURS: Final = ((0, 1), (1, -1), (1, 0), (1, 1))  # the other four are these backwards


def canny(pixels: Pixels) -> Pixels:
    """Edges one pixel thin: where brightness or one colour changes most, and enough (see `edges`)."""
    return _white_on_black(edges(pixels))


def edges(
    pixels: Pixels, *, sigma: float = CANNY_SIGMA, weak: float = CANNY_WEAK, strong: float = CANNY_STRONG
) -> Bits:
    """Return the edges (H,W) of a picture uint8 (H,W,3).

    Canny 1986, "A Computational Approach to Edge Detection": the picture is smoothed by a Gaussian of `sigma`
    pixels; an edge is where the gradient is larger than at its two neighbours along it (Section V), at least
    `weak`, and connected to a place where it is at least `strong` (hysteresis, Section VI). Gradients are
    changes per pixel of brightness in 0..1. Of the three colours, the one that changes most counts.
    """
    across, down = _gradient(_smoothed(pixels.astype(np.float32) / np.float32(255), sigma))
    size = np.hypot(across, down)
    peaks = _peaks(across, down, size) & (size >= weak)
    return _connected(peaks, peaks & (size >= strong))


def lineart(pixels: Pixels) -> Pixels:
    """Soft lines where the picture is darker than around: a drawing's strokes, and the dark sides of edges.

    The difference of two Gaussians, one three times as wide as the other, cut off and scaled (Winnemöller et
    al. 2012, "XDoG: An eXtended difference-of-Gaussians compendium").
    """
    levels = _luma(pixels)[..., None]
    near, far = _smoothed(levels, LINE_SIGMA), _smoothed(levels, LINE_SURROUNDINGS * LINE_SIGMA)
    darker = (far - near)[..., 0]
    lines = np.tanh(np.clip(darker - 0.01, 0, None) * 12)
    return _grey_picture(lines)


def grey(pixels: Pixels) -> Pixels:
    """The picture without its colours, to be coloured."""
    return _grey_picture(_luma(pixels))


def colour(pixels: Pixels) -> Pixels:
    """Coarse colours: the mean of each of about 16x16 cells."""
    height, width = pixels.shape[:2]
    scale = CELLS / min(height, width)
    cells = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(pixels).resize(cells, Image.Resampling.BOX)
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST))


def blur(pixels: Pixels) -> Pixels:
    """The picture out of focus, to be sharpened."""
    radius = min(pixels.shape[:2]) * BLUR
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def segments(pixels: Pixels) -> Pixels:
    """Areas of one colour: the picture in 8 colours of its own, without specks."""
    soft = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1))
    small = soft.resize([min(side, 128) for side in soft.size], Image.Resampling.BOX)  # finds colours fast
    colours = small.quantize(SEGMENTS, method=Image.Quantize.MEDIANCUT, kmeans=2)
    few = soft.quantize(palette=colours, dither=Image.Dither.NONE)
    palette = np.asarray(few.getpalette(), np.uint8).reshape(-1, 3)
    chosen = np.asarray(few)
    # Every pixel takes the colour that most of the 5x5 around it have.
    masks = [Image.fromarray(np.where(chosen == one, 255, 0).astype(np.uint8)) for one in range(len(palette))]
    votes = np.stack([np.asarray(mask.filter(ImageFilter.BoxBlur(2))) for mask in masks])
    return palette[votes.argmax(axis=0)]


Annotator: TypeAlias = Callable[[Pixels], Pixels]

#: By the names that recipes use.
ANNOTATORS: Final[Mapping[str, Annotator]] = {
    "canny": canny,
    "lineart": lineart,
    "grey": grey,
    "colour": colour,
    "blur": blur,
    "segments": segments,
}


def _white_on_black(lines: Bits) -> Pixels:
    return np.repeat(np.where(lines, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def _grey_picture(values: Floats) -> Pixels:
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _luma(pixels: Pixels) -> Floats:
    return (pixels @ _LUMA / 255).astype(np.float32)


def _smoothed(values: Floats, sigma: float) -> Floats:
    """Return `values (H,W,C)` smoothed by a Gaussian; at the borders the outermost pixels go on."""
    reach = max(1, round(3 * sigma))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if side == axis else (0, 0) for side in range(3)]
        wide = np.pad(values, padding, "edge")
        length = values.shape[axis]
        parts = [wide[at : at + length] if axis == 0 else wide[:, at : at + length] for at in offsets + reach]
        values = np.zeros_like(values)
        for weight, part in zip(weights.astype(np.float32), parts, strict=True):
            values += weight * part
    return values


def _gradient(values: Floats) -> tuple[Floats, Floats]:
    """Return the changes per pixel to the right and downwards `(H,W)` of `values (H,W,C)`, by Sobel's
    differences, of the channel that changes most.
    """
    wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), "edge")
    columns = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    rows = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    across = (columns[:, 2:] - columns[:, :-2]).astype(np.float32) / np.float32(8)
    down = (rows[2:] - rows[:-2]).astype(np.float32) / np.float32(8)
    strongest = (across**2 + down**2).argmax(axis=2)[..., None]
    return (
        np.take_along_axis(across, strongest, 2)[..., 0],
        np.take_along_axis(down, strongest, 2)[..., 0],
    )


def _peaks(across: Floats, down: Floats, size: Floats) -> Bits:
    """Return where the gradient is largest along its own direction.

    What lies one pixel ahead and behind is interpolated between the two pixels that the direction passes
    between. Of two equal neighbours, one counts.
    """
    wide = np.pad(size, 1)
    flat = np.abs(across) >= np.abs(down)  # the direction is nearer to a row than to a column
    longer = np.where(flat, np.abs(across), np.abs(down))
    slope = np.where(flat, np.abs(down), np.abs(across)) / np.where(longer > 0, longer, 1)
    same = (across >= 0) == (down >= 0)

    def at(dy: int, dx: int) -> Floats:
        return wide[1 + dy : 1 + dy + size.shape[0], 1 + dx : 1 + dx + size.shape[1]]

    # To the right (flat) or downwards (not flat), and back.
    ahead = np.where(flat, at(0, 1), at(1, 0))
    behind = np.where(flat, at(0, -1), at(-1, 0))
    diagonal = np.where(same, at(1, 1), np.where(flat, at(-1, 1), at(1, -1)))
    opposite = np.where(same, at(-1, -1), np.where(flat, at(1, -1), at(-1, 1)))
    ahead = ahead + slope * (diagonal - ahead)
    behind = behind + slope * (opposite - behind)
    return (size > behind) & (size >= ahead) & (longer > 0)


def _connected(places: Bits, seeds: Bits) -> Bits:
    """Return those `places` that are connected to a seed, over corners too.

    Every place takes the smallest number among its neighbours until nothing changes; numbers are followed to
    their ends at every round, so that rounds are few however long a line is.
    """
    height, width = places.shape
    index = np.full((height, width), -1)
    count = int(places.sum())
    index[places] = np.arange(count)
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for dy, dx in _NEIGHBOURS:
        left, right = max(0, -dx), width - max(0, dx)
        here, there = index[: height - dy, left:right], index[dy:, left + dx : right + dx]
        both = (here >= 0) & (there >= 0)
        pairs.append((here[both], there[both]))
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    label = np.arange(count)
    while True:
        joined = label.copy()
        low = np.minimum(label[first], label[second])
        for ends in (label[first], label[second]):
            np.minimum.at(joined, ends, low)
        while not np.array_equal(further := joined[joined], joined):
            joined = further
        if np.array_equal(joined, label):
            break
        label = joined
    kept = np.zeros(count, np.bool_)
    kept[label[index[seeds]]] = True
    result = np.zeros_like(places)
    result[places] = kept[label]
    return result
