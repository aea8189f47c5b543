"""The pictures of docs/how-to/edit.md that are extended at once and in passes: run `python
docs/images/outpaint.py OUT.webp` from the repository.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sfumato import ExtendPart, ImagePart, Picture, Recipe, Settings, TextPart, run

SIDES = {"left": 192, "right": 192}
PICTURES = (("dog-and-rabbit", "on a beach"), ("castle-day", "in a meadow"))
HEAD, GAP = 18, 6
PAPER, INK = (251, 250, 247), (34, 37, 43)


def extended(name: str, prompt: str, reach: int | None) -> Image.Image:
    source = f"recipes/pictures/{name}.png"
    parts = (TextPart(prompt=prompt), ImagePart(source=source), ExtendPart(reach=reach, **SIDES))
    with closing(run(Recipe(seed=7, parts=parts), Settings.from_environment(os.environ))) as events:
        pixels = next(event.pixels for event in events if isinstance(event, Picture))
    return Image.fromarray(np.asarray(pixels))


def main(out: Path) -> None:
    rows = [
        (f'"{prompt}", {said}', extended(name, prompt, reach))
        for name, prompt in PICTURES
        for said, reach in (("--outpaint-step 0", 0), ("in passes, as without it", None))
    ]
    width, height = rows[0][1].size
    sheet = Image.new("RGB", (width, len(rows) * (HEAD + height + GAP)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (said, picture) in enumerate(rows):
        top = number * (HEAD + height + GAP)
        draw.text((2, top + 2), said, INK, font)
        sheet.paste(picture, (0, top + HEAD))
    sheet.save(out, quality=88, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
