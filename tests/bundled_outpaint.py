"""Pictures extended far beyond the model's size, at once and in passes: run `PYTHONPATH=tests python -m
bundled_outpaint`.

Prints the step over the picture's border and over the borders between passes, beyond the steps beside them,
and how much the new part repeats itself; with `--sheet FILE` also writes the pictures, one row for each.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bundled_scenes import scenes
from sfumato.evaluation.edits.desk import Desk, given
from sfumato.evaluation.edits.outside import seam
from sfumato.models.load import find_model, load
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import ExtendPart, ImagePart, TextPart
from sfumato.scenes import vocabulary as words
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import Scene, caption
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]
SIDE = 128


def single(rng: np.random.Generator) -> Scene:
    return Scene((str(rng.choice(words.OBJECT_NAMES)),), str(rng.choice([*words.PLACES])))


def desk_in(folder: Path) -> Desk:
    """Return the bundled model as it draws on this machine; nothing here is judged."""
    settings = Settings(data_dir=folder)
    found = find_model("bundled", settings)
    return Desk(Recipe(), 0, settings, found.files, load(found, settings), find_font(), None)


def repeats(new: Pixels) -> float:
    """Return the largest correlation of `new (H,W,3)` with itself moved sideways by 24 to 128 pixels, after
    what all columns share is taken away: near 1 for a pattern that repeats.
    """
    grey = new.astype(float).mean(axis=-1)
    grey = grey - grey.mean(axis=1, keepdims=True)
    best = 0.0
    for shift in range(24, min(129, grey.shape[1] // 2 + 1)):
        a, b = grey[:, shift:], grey[:, :-shift]
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        best = max(best, float((a * b).sum()) / size if size > 0 else 0.0)
    return best


def borders(far: int, reach: int) -> list[NDArray[np.bool_]]:
    """Return, as masks `(H,W)`, what is new in the first pass and all after it, in the second, and so on."""
    count = -(-far // reach)
    edges = [far - round(far * number / count) for number in range(count)]
    return [np.broadcast_to(np.arange(far + SIDE) < edge, (SIDE, far + SIDE)) for edge in edges]


def extended(desk: Desk, scene: Scene, seed: int, far: int, reach: int) -> Pixels:
    """Return a picture of `scene` with `far` pixels more on its left; the prompt names the place alone."""
    old = desk.rendered(scene, np.random.default_rng([seed, 77]))
    image = given(old, "input.png")
    prompt = words.PLACES[scene.background][0].partition(" ")[2]  # "in a meadow"
    extend = ExtendPart(left=far, reach=reach)
    new = desk.draw(
        TextPart(prompt=prompt), ImagePart(source=image.source), extend, seed=seed, given=(image,)
    )
    if not np.array_equal(new[:, far:], old):
        raise AssertionError("the picture itself was changed")
    return new


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=8)
    parser.add_argument("--far", type=int, default=256)
    parser.add_argument("--reach", type=int, nargs="+", default=[0, 32])
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        desk = desk_in(Path(folder))
        rows: list[list[Pixels]] = []
        for seed, scene in enumerate(scenes(31, single, asked.number)):
            rows.append([extended(desk, scene, seed, asked.far, reach) for reach in asked.reach])
            print(caption(scene), flush=True)
    for column, reach in enumerate(asked.reach):
        pictures = [row[column] for row in rows]
        first = [seam(new, borders(asked.far, asked.far)[0]) for new in pictures]
        said = f"over the picture's border {np.mean(first):+.2f} of 255 (largest {max(first):+.2f})"
        inner = borders(asked.far, reach)[1:] if reach else []
        if inner:
            later = [seam(new, one) for new in pictures for one in inner]
            said += f", between passes {np.mean(later):+.2f} (largest {max(later):+.2f})"
        again = [repeats(new[:, : asked.far]) for new in pictures]
        print(f"reach {reach}: {said}; repeats {np.mean(again):.2f} (n {len(pictures)})")
    if asked.sheet is not None:
        sheet = np.concatenate([np.concatenate(row, axis=0) for row in rows], axis=0)
        Image.fromarray(sheet).save(asked.sheet)


if __name__ == "__main__":
    main()
