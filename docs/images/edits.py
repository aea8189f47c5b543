"""The sheet of docs/how-to/edit.md: run `python docs/images/edits.py OUT.webp` from the repository."""

import os
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from sfumato import Picture, Settings, run
from sfumato.cli.recipes import read_recipe

RECIPES = (
    "sketch-to-picture",
    "black-and-white-to-colour",
    "day-to-night",
    "more-beach",
    "night-to-day",
    "restyle",
    "dog-to-cat",
    "frog-left-rocket-right",
)
ROOM = 288, 136


def main(out: Path) -> None:
    sheet = Image.new("RGB", (4 * ROOM[0] + 40, 2 * ROOM[1] - 8), "white")
    settings = Settings.from_environment(os.environ)
    for place, name in enumerate(RECIPES):
        recipe = read_recipe(Path("recipes") / f"{name}.toml")
        with closing(run(recipe, settings)) as events:
            drawn = next(event.pixels for event in events if isinstance(event, Picture))
        before = (
            np.full((128, 128, 3), 240, np.uint8)
            if recipe.image is None
            else np.asarray(Image.open(recipe.image.source).convert("RGB"))
        )
        left, top = place % 4 * ROOM[0], place // 4 * ROOM[1]
        sheet.paste(Image.fromarray(before), (left, top))
        sheet.paste(Image.fromarray(drawn), (left + 136, top))
    sheet.save(out, quality=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
