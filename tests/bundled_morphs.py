"""How smooth morphs of the bundled model are: run `PYTHONPATH=tests python -m bundled_morphs`.

For each way of mixing, and for ways between seeds: how far a frame is from the one before it (the mean
absolute difference, as a share of the whole scale), on average and at most; with `--sheet FILE` also writes
the frames, one row for each morph.
"""

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bundled_scenes import scenes
from sfumato.engine.events import Picture
from sfumato.engine.morph import draw_frames
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.morph import Morph, frames_of
from sfumato.recipe.resolve import resolve
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]


def single(rng: np.random.Generator) -> Scene:
    background = str(rng.choice(["beach", "meadow", "white", "blue"]))
    return Scene((str(rng.choice(words.OBJECT_NAMES)),), background)


def drawn(bundle: ModelBundle, morph: Morph, seed: int) -> list[Pixels]:
    recipes = frames_of(morph, Recipe(seed=seed))
    frames = [resolve(one, bundle.defaults) for one in recipes]
    with closing(draw_frames(frames, bundle)) as events:
        return [event.pixels for event in events if isinstance(event, Picture)]


def steps(frames: list[Pixels]) -> NDArray[np.float64]:
    """Return how far each frame is from the one before it, in [0, 1]."""
    whole = np.stack(frames).astype(np.float64) / 255
    return np.abs(np.diff(whole, axis=0)).mean(axis=(1, 2, 3))


def prompts(number: int) -> tuple[str, str]:
    first, last = (caption(one) for one in scenes(70 + number, single, 2))
    return first, last


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=6)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--only", default="embeddings,branches,seeds")
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    length: dict[str, Any] = {"frames": asked.frames}
    ways: dict[str, Callable[[int], Morph]] = {
        "prompts, embeddings": lambda k: Morph(prompts=prompts(k), mode="embeddings", **length),
        "prompts, branches": lambda k: Morph(prompts=prompts(k), mode="branches", **length),
        "seeds": lambda k: Morph(prompts=prompts(k)[:1], seeds=(k, 1000 + k), **length),
    }
    rows: list[list[Pixels]] = []
    with TemporaryDirectory() as folder:
        bundle = load_bundle("bundled", Settings(data_dir=Path(folder)))
        for name, way in ways.items():
            if name.split()[-1] not in asked.only:
                continue
            each = [drawn(bundle, way(number), number) for number in range(asked.number)]
            rows += each
            apart = np.stack([steps(frames) for frames in each])
            mean, most = apart.mean(axis=1), apart.max(axis=1)
            print(
                f"{name}: mean {mean.mean():.4f}, largest {most.mean():.4f}, largest by mean "
                f"{(most / mean).mean():.2f} (n {asked.number}, {asked.frames} frames each)",
                flush=True,
            )
    if asked.sheet is not None:
        places = np.linspace(0, asked.frames - 1, 12).round().astype(int)
        some = [[frames[at] for at in places] for frames in rows]
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in some], axis=0)
        Image.fromarray(sheet).save(asked.sheet)


if __name__ == "__main__":
    main()
