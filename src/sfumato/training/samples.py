"""Pictures and a score from a run in progress: a sheet of prompts drawn by the engine, and the judge's word
on single objects."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.models.bundle import ModelBundle
from sfumato.models.judge import Judge
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.scenes import scene
from sfumato.scenes import vocabulary as words
from sfumato.settings import Settings

PROMPTS = (
    "a frog on a beach",
    "an astronaut riding a horse",
    "pencil sketch of a black cat",
    "a red apple on a tree",
    "a rocket in space",
    "a house in the snow at night",
    "watercolour of a rose",
    "two penguins on a blue background",
    "a dog next to a cat in a meadow",
    "pixel art of a dragon in a city",
    "an owl in a forest at night",
    "a sailboat on the sea at sunset",
)


@dataclass(frozen=True)
class Score:
    """Shares of `n` single-object pictures of which the judge names the object, the background (of those
    without a style, which may take colours away) and the style right."""

    objects: float
    backgrounds: float
    styles: float
    n: int


def draw_one(bundle: ModelBundle, prompt: str, seed: int, settings: Settings) -> NDArray[np.uint8]:
    """One picture `(H,W,3)` of `prompt` with the model's defaults."""
    recipe = Recipe(parts=(TextPart(prompt=prompt),), seed=seed)
    resolved = resolve(recipe, bundle.defaults, settings=settings)
    with closing(draw(resolved, bundle)) as events:
        return next(event.pixels for event in events if isinstance(event, Picture))


def sheet(pictures: list[NDArray[np.uint8]], columns: int) -> Image.Image:
    """Pictures of one size side by side, row by row."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * (width + 4), rows * (height + 4)), "white")
    for index, pixels in enumerate(pictures):
        canvas.paste(
            Image.fromarray(pixels), (index % columns * (width + 4) + 2, index // columns * (height + 4) + 2)
        )
    return canvas


def quick_score(bundle: ModelBundle, judge: Judge, settings: Settings, *, n: int, seed: int = 99) -> Score:
    """Draw `n` single-object scenes as evaluation asks for them, and judge them: a rough figure for learning
    curves."""
    scenes: list[scene.Scene] = []
    index = 0
    mix = scene.SceneMix(pairs=0, counts=0, sizes=0, unsaid_background=0, styled=0.35)
    while len(scenes) < n:
        scenes.append(scene.sample(scene.stream_rng(seed, index), mix))
        index += 1
    pixels = [draw_one(bundle, scene.caption(shown), seed + i, settings) for i, shown in enumerate(scenes)]
    verdict = judge(np.stack(pixels))
    objects = [words.OBJECT_NAMES[i] for i in verdict.objects.argmax(axis=1)]
    styles = [words.STYLE_NAMES[i] for i in verdict.style.argmax(axis=1)]
    grounds = [words.BACKGROUNDS[i] for i in verdict.background.argmax(axis=1)]
    coloured = [i for i, shown in enumerate(scenes) if shown.style == "plain"]
    return Score(
        objects=float(
            np.mean([name == shown.objects[0] for name, shown in zip(objects, scenes, strict=True)])
        ),
        backgrounds=float(np.mean([grounds[i] == scenes[i].background for i in coloured])),
        styles=float(np.mean([name == shown.style for name, shown in zip(styles, scenes, strict=True)])),
        n=n,
    )


def write_samples(
    model: Path, target: Path, settings: Settings, judge: Judge | None, n: int = 64
) -> Score | None:
    """Draw `PROMPTS` with the model folder into the PNG `target`; with a judge, also score `n` single
    objects."""
    bundle = load_bundle(str(model), settings)
    pictures = [draw_one(bundle, prompt, 1000 + i, settings) for i, prompt in enumerate(PROMPTS)]
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    sheet(pictures, 4).save(draft, "PNG")
    draft.rename(target)
    return None if judge is None else quick_score(bundle, judge, settings, n=n)
