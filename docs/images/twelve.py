"""Twelve prompts drawn by the bundled model, all with seed 7, none picked out: run `python
docs/images/twelve.py OUT.png` from the repository.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from PIL import Image

from sfumato import Picture, Recipe, Settings, run
from sfumato.recipe.parts import TextPart

PROMPTS = (
    "a frog on a beach",
    "an astronaut riding a horse",
    "pencil sketch of a black cat",
    "a red apple on a tree",
    "a rocket in space",
    "a house in the snow at night",
    "watercolour of a rose",
    "two penguins on a blue background",
    "a frog and a rabbit on a beach at night",
    "pixel art of a dragon in a city",
    "an owl in a forest at night",
    "a sailboat on the sea at sunset",
)
ACROSS = 4
SIDE = 128
ROOM = SIDE + 4


def main(out: Path) -> None:
    settings = Settings.from_environment(os.environ)
    sheet = Image.new("RGB", (ACROSS * ROOM, len(PROMPTS) // ACROSS * ROOM), "white")
    for number, prompt in enumerate(PROMPTS):
        with closing(run(Recipe(seed=7, parts=(TextPart(prompt=prompt),)), settings)) as events:
            pixels = next(event.pixels for event in events if isinstance(event, Picture))
        place = number % ACROSS * ROOM + 2, number // ACROSS * ROOM + 2
        sheet.paste(Image.fromarray(pixels), place)
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
