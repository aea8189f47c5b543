"""How the bundled model's world looks: glyphs, backgrounds, times of day and styles, as PIL pictures.

Everything is drawn from an explicit `numpy.random.Generator`, so a scene is the same pixels wherever it is
rendered with the same Pillow and font.
"""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps, features

from sfumato.errors import InputError
from sfumato.scenes.vocabulary import COLOURS, OBJECTS, PLACES

FONT_PATHS = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
)
FURTHEST = 1 / 8  # of a side: how far whole scenes are moved where they shall not be in the middle
_SOFT = 0.125  # of a hybrid's height: how far its parts run into each other
_BITMAP_SIZE = 109  # the only strike in the font; glyphs are 136x128 bitmaps
_GLYPH = {thing.name: thing.glyph for thing in OBJECTS}

RGB = tuple[int, int, int]


def find_font(path: Path | None = None) -> Path:
    """The emoji font: `path` if given, else the usual places. Raises `InputError` when there is none."""
    for candidate in (path,) if path is not None else FONT_PATHS:
        if candidate.is_file():
            return candidate
    raise InputError(
        "the emoji font that scenes are drawn with was not found",
        field="font",
        value=str(path) if path is not None else "NotoColorEmoji.ttf",
        hint="install Debian's package fonts-noto-color-emoji, or set `font` to the file's path",
    )


@lru_cache(maxsize=4)
def _font(path: Path) -> ImageFont.FreeTypeFont:
    if not features.check("raqm"):
        raise InputError(
            "this Pillow cannot join emoji sequences (no raqm)", field="Pillow", hint="use Pillow's own wheel"
        )
    return ImageFont.truetype(str(path), _BITMAP_SIZE)


@lru_cache(maxsize=512)
def glyph(name: str, font: Path) -> Image.Image:
    """The object `name` as an RGBA picture cropped to its outline (at most 136x128)."""
    canvas = Image.new("RGBA", (136, 128), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((0, 0), _GLYPH[name], font=_font(font), embedded_color=True)
    return canvas.crop(canvas.getbbox())


def sized_glyph(name: str, font: Path, side: float) -> Image.Image:
    """The object scaled so that its longer side has `side` pixels."""
    picture = glyph(name, font)
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def hybrid(first: str, second: str, font: Path, side: float, share: float, rng: Generator) -> Image.Image:
    """One thing made of two: the upper part of one object goes over into the lower part of the other.

    Both are stretched to the same box, whose longer side has about `side` pixels, so that their outlines
    meet. `first` has the `share` in 0..1 of the height; `rng` chooses which of them is above, and how far the
    border between them, a soft line, is from level (up to 30 degrees).
    """
    one, other = sized_glyph(first, font, side), sized_glyph(second, font, side)
    width, height = max(one.width, other.width), max(one.height, other.height)
    above, slope = bool(rng.random() < 0.5), math.tan(rng.uniform(-math.pi / 6, math.pi / 6))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    cut = (share if above else 1 - share) * height
    below = (rows + 0.5 - cut + slope * (columns + 0.5 - width / 2)) / (_SOFT * height) + 0.5
    mask = np.clip(below if above else 1 - below, 0, 1)[..., None]
    # Colours count by how opaque they are: what is transparent has none.
    parts = [
        np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS).convert("RGBa"), np.float32)
        for picture in (one, other)
    ]
    mixed = parts[0] * (1 - mask) + parts[1] * mask
    return Image.fromarray(mixed.round().astype(np.uint8), "RGBa").convert("RGBA")


# --- backgrounds ------------------------------------------------------------------------------------------


def _gradient(size: int, top: RGB, bottom: RGB) -> Image.Image:
    rows = np.linspace(np.array(top, np.float32), np.array(bottom, np.float32), size)[:, None, :]
    return Image.fromarray(np.repeat(rows, size, axis=1).round().astype(np.uint8), "RGB")


_SKIES: dict[str, tuple[RGB, RGB]] = {
    "day": ((92, 170, 240), (205, 232, 250)),
    "sunset": ((92, 60, 130), (255, 168, 84)),
    "night": ((8, 12, 42), (34, 44, 92)),
}
_LIGHT: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.80, 0.66),
    "night": (0.36, 0.42, 0.66),
}


def lit(picture: Image.Image, time: str, amount: float = 1.0) -> Image.Image:
    """`picture` (RGB or RGBA) under the light of `time`; `amount` 0 leaves it alone."""
    if time == "day":
        return picture
    factors = [1 + (factor - 1) * amount for factor in _LIGHT[time]]
    bands = list(picture.split())
    for channel, factor in enumerate(factors):
        bands[channel] = bands[channel].point([round(value * factor) for value in range(256)])
    return Image.merge(picture.mode, bands)


def _sky(size: int, time: str, rng: Generator) -> Image.Image:
    picture = _gradient(size, *_SKIES[time])
    draw = ImageDraw.Draw(picture)
    unit = size / 128
    x = rng.uniform(0.12, 0.88) * size
    if time == "day":
        for _ in range(int(rng.integers(0, 3))):
            _cloud(draw, rng.uniform(0, size), rng.uniform(6, 30) * unit, unit)
    elif time == "sunset":
        y, radius = 44 * unit, 13 * unit
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 226, 130))
    else:
        for _ in range(16):
            sx, sy = rng.uniform(0, size), rng.uniform(0, size * 0.5)
            draw.rectangle((sx, sy, sx + unit, sy + unit), fill=(240, 240, 220))
        y, radius = 18 * unit, 9 * unit
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 246, 210))
    return picture


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, unit: float) -> None:
    for dx, dy, radius in ((-9, 2, 5), (0, 0, 7), (9, 2, 5)):
        cx, cy, r = x + dx * unit, y + dy * unit, radius * unit
        draw.ellipse((cx - r, cy - r * 0.7, cx + r, cy + r * 0.7), fill=(250, 252, 255))


def _hill(draw: ImageDraw.ImageDraw, size: int, y: float, wave: float, phase: float, colour: RGB) -> None:
    """Ground from height `y` (fraction) down, its edge a sine of amplitude `wave` (fraction)."""
    edge = [(x, size * (y + wave * math.sin(phase + x / size * 5))) for x in range(0, size + 4, 4)]
    draw.polygon([*edge, (size + 4, size), (0, size)], fill=colour)


def _ground(place: str, size: int, time: str, rng: Generator) -> Image.Image:
    """The land of `place` as RGBA over nothing, in daylight colours."""
    layer = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    unit = size / 128
    phase = rng.uniform(0, 6.28)
    if place == "beach":
        draw.rectangle((0, 0.46 * size, size, size), fill=(30, 140, 190))
        _hill(draw, size, 0.64, 0.02, phase, (240, 250, 250))
        _hill(draw, size, 0.66, 0.02, phase, (238, 210, 150))
    elif place == "meadow":
        _hill(draw, size, 0.50, 0.03, phase, (120, 190, 90))
        _hill(draw, size, 0.62, 0.02, phase + 2, (88, 168, 62))
        for _ in range(10):
            x, y = rng.uniform(0, size), rng.uniform(0.70, 0.97) * size
            colour = [(250, 240, 120), (250, 250, 250), (240, 120, 150)][int(rng.integers(3))]
            draw.ellipse((x, y, x + 3 * unit, y + 3 * unit), fill=colour)
    elif place == "snow":
        _hill(draw, size, 0.52, 0.03, phase, (214, 228, 244))
        _hill(draw, size, 0.64, 0.02, phase + 2, (246, 250, 255))
        for _ in range(26):
            x, y = rng.uniform(0, size), rng.uniform(0, size)
            draw.ellipse((x, y, x + 2.4 * unit, y + 2.4 * unit), fill=(255, 255, 255))
    elif place == "desert":
        _hill(draw, size, 0.52, 0.06, phase, (226, 160, 84))
        _hill(draw, size, 0.66, 0.04, phase + 2.5, (236, 178, 100))
    elif place == "sea":
        draw.rectangle((0, 0.38 * size, size, size), fill=(22, 104, 178))
        for _ in range(16):
            x, y = rng.uniform(-0.05, 0.95) * size, rng.uniform(0.44, 0.98) * size
            draw.line(
                (x, y, x + rng.uniform(8, 20) * unit, y),
                fill=(110, 180, 226),
                width=max(1, round(1.6 * unit)),
            )
    elif place == "city":
        x = -4.0 * unit
        while x < size:
            width, height = rng.uniform(14, 26) * unit, rng.uniform(34, 74) * unit
            shade = int(rng.integers(96, 150))
            top = 0.74 * size - height
            draw.rectangle((x, top, x + width - unit, 0.76 * size), fill=(shade, shade, shade + 16))
            for wy in np.arange(top + 5 * unit, 0.70 * size, 9 * unit):
                for wx in np.arange(x + 3 * unit, x + width - 5 * unit, 7 * unit):
                    draw.rectangle((wx, wy, wx + 3 * unit, wy + 4 * unit), fill=(250, 232, 150))
            x += width
        draw.rectangle((0, 0.74 * size, size, size), fill=(92, 92, 98))
        for x in np.arange(4, 128, 26):
            draw.rectangle((x * unit, 0.90 * size, (x + 13) * unit, 0.915 * size), fill=(238, 236, 220))
    elif place == "forest":
        draw.rectangle((0, 0.56 * size, size, size), fill=(58, 92, 44))
        for row in range(2):
            for x in np.arange(-6, 136, 17):
                cx = (x + rng.uniform(-4, 4) + 8 * row) * unit
                base, height = (0.60 + 0.06 * row) * size, rng.uniform(46, 70) * unit
                colour = ((20, 78, 48), (34, 102, 58))[row]
                draw.polygon(
                    [(cx - 13 * unit, base), (cx + 13 * unit, base), (cx, base - height)], fill=colour
                )
        _hill(draw, size, 0.68, 0.01, phase, (74, 112, 50))
    else:  # mountains
        for _ in range(4):
            cx, height = rng.uniform(0, size), rng.uniform(46, 72) * unit
            base, half = 0.68 * size, rng.uniform(32, 46) * unit
            draw.polygon([(cx - half, base), (cx + half, base), (cx, base - height)], fill=(112, 116, 136))
            cap = 0.34  # the share of the mountain under snow
            line = base - height * (1 - cap)
            draw.polygon(
                [(cx - half * cap, line), (cx + half * cap, line), (cx, base - height)], fill=(248, 250, 255)
            )
        _hill(draw, size, 0.66, 0.02, phase, (128, 150, 92))
    return layer


def _space(size: int, rng: Generator) -> Image.Image:
    picture = _gradient(size, (6, 4, 22), (36, 14, 62))
    draw = ImageDraw.Draw(picture)
    unit = size / 128
    for _ in range(46):
        x, y = rng.uniform(0, size), rng.uniform(0, size)
        shade = int(rng.integers(150, 256))
        draw.rectangle((x, y, x + unit, y + unit), fill=(shade, shade, shade))
    x, y, radius = rng.uniform(0.08, 0.92) * size, rng.uniform(0.06, 0.22) * size, rng.uniform(9, 15) * unit
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(206, 134, 86))
    draw.ellipse(
        (x - radius * 1.7, y - radius * 0.35, x + radius * 1.7, y + radius * 0.35), outline=(240, 210, 160)
    )
    return picture


def background(name: str, time: str, size: int, rng: Generator) -> Image.Image:
    """A place or a plain colour of `vocabulary` as an RGB picture of `size` x `size` pixels."""
    if name in COLOURS:
        return Image.new("RGB", (size, size), COLOURS[name])
    if name not in PLACES:
        raise ValueError(f"no such background: {name}")
    if name == "space":
        return _space(size, rng)
    # Drawn at twice the size so that edges come out smooth.
    picture = _sky(2 * size, time, rng)
    land = lit(_ground(name, 2 * size, time, rng), time)
    picture.paste(land, (0, 0), land)
    return picture.reduce(2)


# --- styles -----------------------------------------------------------------------------------------------


def _soft_noise(size: int, cell: int, rng: Generator) -> Image.Image:
    coarse = rng.integers(0, 256, (max(2, size // cell), max(2, size // cell)), dtype=np.uint8)
    return Image.fromarray(coarse, "L").resize((size, size), Image.Resampling.BICUBIC)


def _pencil_sketch(picture: Image.Image, rng: Generator) -> Image.Image:
    grey = ImageOps.grayscale(picture)
    # Colour dodge of the picture with its blurred negative leaves dark lines where the light changes.
    blurred = ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(2.2))
    lines = np.asarray(grey, np.float32) * 255 / np.maximum(255 - np.asarray(blurred, np.float32), 1)
    shade = 0.78 + 0.22 * np.asarray(grey, np.float32) / 255
    sketch = np.clip(np.clip(lines, 0, 255) ** 1.6 / 255**0.6 * shade, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(sketch, "L")] * 3)


def _black_and_white(picture: Image.Image, rng: Generator) -> Image.Image:
    grey = ImageEnhance.Contrast(ImageOps.grayscale(picture)).enhance(1.25)
    return Image.merge("RGB", [grey] * 3)


def _pixel_art(picture: Image.Image, rng: Generator) -> Image.Image:
    side = picture.width // 4
    small = ImageEnhance.Color(picture.resize((side, side), Image.Resampling.BOX)).enhance(1.2)
    small = small.quantize(24, method=Image.Quantize.MEDIANCUT).convert("RGB")
    return small.resize(picture.size, Image.Resampling.NEAREST)


def _watercolour(picture: Image.Image, rng: Generator) -> Image.Image:
    size = picture.width
    wash = picture.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.GaussianBlur(0.8))
    wash = ImageEnhance.Color(wash).enhance(0.85)
    paper = Image.new("RGB", picture.size, (252, 249, 240))
    wash = Image.blend(wash, paper, 0.34)
    # The paint stops short of the paper's edge along an uneven line.
    inside = Image.new("L", picture.size, 0)
    margin = size // 16
    ImageDraw.Draw(inside).rectangle((margin, margin, size - margin, size - margin), fill=255)
    inside = inside.filter(ImageFilter.GaussianBlur(size / 20))
    ragged = ImageChops.add(inside, _soft_noise(size, 8, rng), scale=1, offset=-128)
    ragged = ragged.point([max(0, min(255, (value - 90) * 4)) for value in range(256)])
    return Image.composite(wash, paper, ragged)


def _oil_painting(picture: Image.Image, rng: Generator) -> Image.Image:
    size = picture.width
    rich = ImageEnhance.Color(picture.filter(ImageFilter.MedianFilter(5))).enhance(1.35)
    rich = ImageEnhance.Brightness(rich).enhance(0.9)
    # Brush strokes: noise stretched along a diagonal, as light and dark ridges.
    noise = rng.normal(0, 1, (size + 16, size + 16)).astype(np.float32)
    nothing = np.zeros((size, size), np.float32)
    strokes = sum((noise[i : i + size, 16 - i : 16 - i + size] for i in range(14)), nothing)
    pixels = np.asarray(rich, np.float32) + strokes[:, :, None] * (20 / math.sqrt(14))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


_STYLES = {
    "pencil sketch": _pencil_sketch,
    "black and white": _black_and_white,
    "pixel art": _pixel_art,
    "watercolour": _watercolour,
    "oil painting": _oil_painting,
}


def in_style(picture: Image.Image, style: str, rng: Generator) -> Image.Image:
    """`picture` (RGB, square) redrawn in a style of `vocabulary.STYLES`; `"plain"` is the picture itself."""
    return picture if style == "plain" else _STYLES[style](picture, rng)


def moved(picture: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Return `picture (H,W,3)` moved by so many pixels; what comes in repeats its border."""
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return picture[rows][:, columns]
