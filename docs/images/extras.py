"""The sheet of docs/how-to/steer.md: run `python docs/images/extras.py OUT.webp` from the repository.

A row for each option: without it above, with it below. Tiles are shown two by two.
"""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sfumato import Picture, Recipe, Settings, TextPart, run
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU

Pixels = NDArray[np.uint8]
SIDE, LEFT, GAP = 128, 110, 6
ROWS: tuple[tuple[str, ExtrasPart, dict[str, Any], tuple[str, ...]], ...] = (
    (
        "tiling both",
        ExtrasPart(tiling="both"),
        {},
        (
            "a rose on a blue background",
            "an apple on a white background",
            "a frog in a meadow",
            "a rocket in space",
        ),
    ),
    ("clip skip 2", ExtrasPart(clip_skip=2), {}, ()),
    ("apg 0\nguidance 8", ExtrasPart(apg=Apg()), {"guidance": 8.0}, ()),
    ("threshold 0.995\nguidance 8", ExtrasPart(threshold=0.995), {"guidance": 8.0}, ()),
    ("pag 3", ExtrasPart(pag=3.0), {}, ()),
    ("freeu\n1.2,1.4,0.9,0.2", ExtrasPart(freeu=FreeU(b1=1.2, b2=1.4, s1=0.9, s2=0.2)), {}, ()),
)
PROMPTS = ("a cat on a beach", "a castle in a meadow", "a frog in the snow", "a rocket in space at night")


def drawn(settings: Settings, prompt: str, seed: int, extras: ExtrasPart | None, fields: Any) -> Pixels:
    parts = (TextPart(prompt=prompt), *(() if extras is None else (extras,)))
    with closing(run(Recipe(seed=seed, parts=parts, **fields), settings)) as events:
        return next(event.pixels for event in events if isinstance(event, Picture))


def main(out: Path) -> None:
    settings = Settings.from_environment(os.environ)
    high = 2 * SIDE + 2 * GAP
    sheet = Image.new("RGB", (LEFT + len(PROMPTS) * (SIDE + GAP), len(ROWS) * high), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, extras, fields, prompts) in enumerate(ROWS):
        pen.text((4, row * high + SIDE // 2), "without", fill="black")
        pen.text((4, row * high + SIDE + SIDE // 2), name, fill="black")
        for column, prompt in enumerate(prompts or PROMPTS):
            for place, one in enumerate((None, extras)):
                pixels = drawn(settings, prompt, 11 + column, one, fields)
                if extras.tiling is not None:
                    pixels = np.tile(pixels, (2, 2, 1))
                shown = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                sheet.paste(shown, (LEFT + column * (SIDE + GAP), row * high + place * (SIDE + 2)))
    sheet.save(out, quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
