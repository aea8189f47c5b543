"""Where the word of an object acted in pictures by the bundled model: run
`PYTHONPATH=tests python -m bundled_attention`.

Draws single objects on plain backgrounds with the torch backend and prints the share of the object word's
attention that lies inside the object, against the object's share of the area; and the same for the other
words. The object is what differs from the background, the median colour of the picture's border, by more than
40 of 255 levels in any channel. With `--sheet FILE` also writes pictures, objects and maps.
"""

import argparse
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.attention import attention_recorder
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.imaging.heat import overlay
from sfumato.models.backends.torch_attention import ALL
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.scenes import vocabulary as words
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]
BACKGROUNDS = ("white", "blue", "yellow")
DIFFERS = 40  # levels of 255


def object_mask(picture: Pixels) -> NDArray[np.bool_]:
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(float)
    return np.asarray((np.abs(picture - np.median(border, axis=0)) > DIFFERS).any(axis=-1))


def share_inside(heat: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Return the share of the map's mass inside the mask, each at the resolution of the map."""
    small = np.asarray(
        Image.fromarray(mask.astype(np.float32)).resize(heat.shape[::-1], Image.Resampling.BOX), np.float64
    )
    return float((heat * small).sum() / heat.sum())


def drawn(
    bundle: ModelBundle, prompt: str, seed: int, all_layers: bool
) -> tuple[Pixels, dict[str, NDArray[np.float32]]]:
    resolved = resolve(Recipe(seed=seed, parts=(TextPart(prompt=prompt),)), bundle.defaults)
    recorder = attention_recorder(resolved, bundle)
    recorder = replace(recorder, blocks=ALL if all_layers else None)
    with closing(draw(resolved, bundle, attending=recorder)) as events:
        pixels = next(one.pixels for one in events if isinstance(one, Picture))
        return pixels, {one.word: one.heat for one in recorder.word_maps(0)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=len(words.OBJECT_NAMES))
    parser.add_argument("--first", type=int, default=0, help="the object to begin with")
    parser.add_argument("--all-layers", action="store_true", help="also those before the UNet's middle")
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    rows: list[tuple[str, float, float]] = []
    others: dict[str, list[float]] = {"on": [], "COLOUR": [], "background": []}
    cells: list[Pixels] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle("bundled", Settings(data_dir=Path(folder), backend="torch", dtype="float32"))
        for k in range(asked.first, asked.first + asked.number):
            name = words.OBJECT_NAMES[k % len(words.OBJECT_NAMES)]
            background = BACKGROUNDS[k % len(BACKGROUNDS)]
            pixels, maps = drawn(bundle, f"a {name} on a {background} background", k, asked.all_layers)
            mask = object_mask(pixels)
            # The head of a compound ("palm tree") is its last word.
            heat = maps[name.split()[-1]]
            rows.append((f"{name} on {background}", share_inside(heat, mask), float(mask.mean())))
            for word, ratios in others.items():
                ratios.append(
                    share_inside(maps[background if word == "COLOUR" else word], mask) / mask.mean()
                )
            grey = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
            cells += [pixels, grey, overlay(pixels, heat)]
    if asked.sheet is not None:
        sheet = Image.new("RGB", (12 * 132, -(-len(cells) // 12) * 132), "white")
        for place, cell in enumerate(cells):
            sheet.paste(Image.fromarray(cell), (place % 12 * 132, place // 12 * 132))
        sheet.save(asked.sheet)
    for name, inside, area in rows:
        print(
            f"{name}: {inside:.1%} of the attention inside, {area:.1%} of the area: {inside / area:.2f} times"
        )
    for word, ratios in others.items():
        print(f"{word}: mean {np.mean(ratios):.2f} times")
    found = np.array([inside / area for _, inside, area in rows])
    print(
        f"n {len(rows)}: mean {found.mean():.2f} times, median {np.median(found):.2f}, "
        f"least {found.min():.2f}, at least 2 times in {(found >= 2).mean():.1%}"
    )


if __name__ == "__main__":
    main()
