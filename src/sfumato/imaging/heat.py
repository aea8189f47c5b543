"""Maps laid over pictures as heat, and many of them as one labelled grid."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MAX_GRID_PIXELS: Final = 40_000_000
STRENGTH: Final = 0.75  # of the colour where the heat is greatest
_LEAST_CELL: Final = 64
_GAP: Final = 8
_LINE: Final = 20
_SIZE: Final = 13  # of the letters
_PAPER: Final = (251, 250, 247)
_INK: Final = (34, 37, 43)
# Dark blue over purple and orange to pale yellow: lightness rises all the way, so that it reads without
# colour too.
_COLOURS: Final = ((30, 20, 90), (130, 30, 130), (215, 60, 80), (250, 150, 40), (252, 250, 170))


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return `picture (H,W,3)` in grey with the map `heat (h,w)` over it in colour, from its least to its
    greatest value.
    """
    height, width = picture.shape[:2]
    low, high = float(heat.min()), float(heat.max())
    scaled = (heat - low) / (high - low) if high > low else np.zeros_like(heat)
    image = Image.fromarray(np.asarray(scaled, np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(image, np.float64), 0, 1)[..., None]
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float64)[..., None]
    stops = np.linspace(0, 1, len(_COLOURS))
    channels = zip(*_COLOURS, strict=True)
    colour = np.concatenate([np.interp(level, stops, channel) for channel in channels], axis=2)
    share = STRENGTH * np.sqrt(level)
    return (grey * (1 - share) + colour * share).round().astype(np.uint8)


def labelled_grid(cells: Sequence[tuple[str, NDArray[np.uint8]]]) -> Image.Image:
    """Return pictures `(H,W,3)` of one size in rows, each with its label above it; at least one picture.

    Pictures are smaller where the grid would have more than 40 million pixels.
    """
    height, width = cells[0][1].shape[:2]
    scale = min(1.0, math.sqrt(MAX_GRID_PIXELS / (len(cells) * height * width)))
    wide, high = (max(min(side, _LEAST_CELL), math.floor(side * scale)) for side in (width, height))
    columns = min(len(cells), max(1, round(math.sqrt(2 * len(cells) * high / wide))))
    rows = -(-len(cells) // columns)
    font = ImageFont.load_default(_SIZE)
    size = _GAP + columns * (wide + _GAP), _GAP + rows * (high + _LINE + _GAP)
    grid = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(grid)
    for place, (label, picture) in enumerate(cells):
        x = _GAP + place % columns * (wide + _GAP)
        y = _GAP + place // columns * (high + _LINE + _GAP)
        draw.text((x, y), _fitting(label, font, wide), _INK, font)
        image = Image.fromarray(picture)
        if (wide, high) != (width, height):
            image = image.resize((wide, high), Image.Resampling.LANCZOS)
        grid.paste(image, (x, y + _LINE))
    return grid


def _fitting(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Return `label`, printable, on one line and cut to `width` pixels, with "..." where it was cut."""
    clean = "".join(c if c.isprintable() else " " for c in label[:200])
    if font.getlength(clean) <= width:
        return clean
    while clean and font.getlength(clean + "...") > width:
        clean = clean[:-1]
    return clean + "..."
