"""The upscaler that comes along, against Lanczos: fresh scenes, small and four times as large.

Scenes are without a style: at four times the size a brush stroke is no longer the same one. The small
pictures are means of 4x4 pixels, once as they are and once after the model's autoencoder, as drawn pictures
are.
"""

from collections.abc import Generator
from contextlib import closing
from typing import Final

import numpy as np
from PIL import Image

from sfumato.evaluation.edits.desk import Desk
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.evaluation.rebuilding import psnr, round_trip
from sfumato.imaging.resize import lanczos
from sfumato.models.upscalers import FACTOR, Upscaler, load_upscaler, upscale
from sfumato.scenes.scene import SceneMix, caption, render, sample

MIX: Final = SceneMix(styled=0)
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
        decoded = Image.fromarray(round_trip(desk.bundle, np.array(small)))
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
    wanted = np.array(large)
    own, other = psnr(np.array(ours), wanted), psnr(np.array(theirs), wanted)
    return {kind: own, kind + LANCZOS: other, kind + GAIN: own - other}


def learned(small: Image.Image, upscaler: Upscaler) -> Image.Image:
    """Return `small` four times as wide and high, by the network."""
    with closing(upscale(small, FACTOR * small.width, FACTOR * small.height, upscaler)) as reports:
        return next(report.picture for report in reports if report.picture is not None)


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
