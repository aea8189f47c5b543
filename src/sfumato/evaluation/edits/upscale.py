"""The upscaler that comes along, against Lanczos: fresh scenes, small and four times as large.

Scenes are without a style: at four times the size a brush stroke is no longer the same one. The small
pictures are means of 4x4 pixels, once as they are and once after the model's autoencoder, as drawn pictures
are.
"""

import math
from collections.abc import Generator
from contextlib import closing
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.evaluation.edits.desk import Desk
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.imaging.resize import lanczos
from sfumato.models import tiling
from sfumato.models.upscalers import FACTOR, Upscaler, load_upscaler, upscale
from sfumato.scenes.scene import SceneMix, caption, render, sample

MIX: Final = SceneMix(styled=0)
BEST: Final = 60.0  # dB of pictures without any difference, so that means stay finite

Pixels = NDArray[np.uint8]

CLEAN: Final = "clean"
DECODED: Final = "decoded"
LANCZOS: Final = " by Lanczos"
GAIN: Final = " gain"


def cases(desk: Desk, scenes: int) -> Generator[Case]:
    """Enlarge `scenes` small scenes, clean and decoded, by the network and by Lanczos."""
    upscaler = load_upscaler()
    for number in range(scenes):
        rng = desk.rng(TASK.name, number)
        scene = sample(rng, MIX)
        large = render(scene, rng, desk.font, FACTOR * desk.side)
        small = large.reduce(FACTOR)
        decoded = Image.fromarray(round_trip(desk, np.array(small)))
        found: dict[str, float] = {}
        for kind, picture in ((CLEAN, small), (DECODED, decoded)):
            found |= values(kind, learned(picture, upscaler), lanczos(picture, *large.size), large)
        shown = [
            ("small", small.resize(large.size, Image.Resampling.NEAREST)),
            ("Lanczos", lanczos(small, *large.size)),
            ("learned", learned(small, upscaler)),
            ("large", large),
        ]
        yield Case(caption(scene), found, tuple(Shown(label, np.array(one)) for label, one in shown))


def values(kind: str, ours: Image.Image, theirs: Image.Image, large: Image.Image) -> dict[str, float]:
    """Return the PSNR of both enlargements of one picture to the `large` one in dB, and its gain."""
    own, other = psnr(ours, large), psnr(theirs, large)
    return {kind: own, kind + LANCZOS: other, kind + GAIN: own - other}


def learned(small: Image.Image, upscaler: Upscaler) -> Image.Image:
    """Return `small` four times as wide and high, by the network."""
    with closing(upscale(small, FACTOR * small.width, FACTOR * small.height, upscaler)) as reports:
        return next(report.picture for report in reports if report.picture is not None)


def round_trip(desk: Desk, pixels: Pixels) -> Pixels:
    """Return `pixels (H,W,3)` after the model's autoencoder, there and back."""
    backend, bundle = desk.bundle.backend, desk.bundle
    inputs = np.moveaxis(pixels.astype(np.float32) / np.float32(127.5) - 1, -1, 0)[None]
    latents = tiling.encode(backend, np.ascontiguousarray(inputs), bundle.downsample, bundle.max_latents)
    decoded = tiling.decode(backend, latents, bundle.downsample, bundle.max_latents)[0]
    return np.rint((np.moveaxis(decoded, 0, -1) + 1) * 127.5).clip(0, 255).astype(np.uint8)


def psnr(picture: Image.Image, wanted: Image.Image) -> float:
    """Return the PSNR in dB of two pictures of one size over all channels, at most `BEST`."""
    first, second = (np.asarray(one, np.float64) for one in (picture, wanted))
    error = float(np.square(first - second).mean())
    return min(BEST, 10 * math.log10(255**2 / error)) if error > 0 else BEST


TASK: Final = Task(
    name="upscale",
    about="scenes made four times as wide and high, against Lanczos",
    scenes=50,
    rows=(
        Row("PSNR", CLEAN, "dB", None, CLEAN + LANCZOS, "Lanczos"),
        Row("gain over Lanczos", CLEAN + GAIN, "dB"),
        Row("PSNR after the autoencoder", DECODED, "dB", None, DECODED + LANCZOS, "Lanczos"),
        Row("gain over Lanczos after the autoencoder", DECODED + GAIN, "dB"),
    ),
    cases=cases,
    judged=False,
)
