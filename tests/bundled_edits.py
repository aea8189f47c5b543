"""What edits with the bundled model come to, by the judge: run `PYTHONPATH=tests python -m bundled_edits`.

Prints a table; with `--sheets FOLDER` also writes the pictures, in rows of input and result.
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.imaging.inputs import read_inputs
from sfumato.models.bundle import ModelBundle
from sfumato.models.judge import Judge, bundled_judge, load_judge
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import ImagePart, MaskPart, MixPart, MixPrompt, Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.scenes import vocabulary as words
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import Scene, caption, held_out, render
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]
SAMPLERS = ("ddim", "euler_a", "dpmpp_2m", "unipc")
STRENGTHS = (0.6, 0.75, 0.9)


class Desk:
    """The bundled model, the judge, and a folder for inputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder / "data")
        self.bundle: ModelBundle = load_bundle("bundled", self.settings)
        self.judge: Judge = load_judge(bundled_judge())
        self.font = find_font()

    def real(self, scene: Scene, seed: int) -> Pixels:
        return np.asarray(render(scene, np.random.default_rng([seed, 77]), self.font))

    def saved(self, pixels: Pixels, name: str = "input.png") -> str:
        Image.fromarray(pixels).save(self.folder / name)
        return str(self.folder / name)

    def draw(self, *parts: Part, seed: int, **fields: Any) -> Pixels:
        recipe = Recipe(seed=seed, parts=parts, **fields)
        inputs = read_inputs(recipe, self.settings)
        resolved = resolve(recipe, self.bundle.defaults, sources=inputs.facts)
        with closing(draw(resolved, self.bundle, inputs=inputs)) as events:
            return next(one.pixels for one in events if isinstance(one, Picture))

    def top(self, pixels: Pixels, number: int) -> set[str]:
        order = np.argsort(-self.judge(pixels[None]).objects[0], kind="stable")[:number]
        return {words.OBJECT_NAMES[int(index)] for index in order}

    def best(self, question: str, names: tuple[str, ...], pixels: Pixels) -> str:
        return names[int(getattr(self.judge(pixels[None]), question)[0].argmax())]


def scenes(seed: int, make: Callable[[np.random.Generator], Scene], number: int) -> Iterator[Scene]:
    rng = np.random.default_rng(seed)
    fresh = (make(rng) for _ in itertools.count())
    return itertools.islice((one for one in fresh if not held_out(one)), number)


def pair(rng: np.random.Generator) -> Scene:
    first, second = rng.choice(words.OBJECT_NAMES, 2, replace=False)
    background = str(rng.choice(["beach", "meadow", "white", "blue"]))
    return Scene((str(first), str(second)), background, relation="left of")


def single(rng: np.random.Generator, style: str = "plain") -> Scene:
    return Scene(
        (str(rng.choice(words.OBJECT_NAMES)),), str(rng.choice(["beach", "meadow", "snow"])), style=style
    )


def seam(old: Pixels, new: Pixels, mask: NDArray[np.bool_]) -> float:
    """Return how much larger steps over the mask's border are than those beside it, in levels of 255."""
    steps: dict[str, list[float]] = {"over": [], "beside": []}
    for axis in (0, 1):
        apart = np.abs(np.diff(new.astype(float), axis=axis)).mean(axis=-1)
        before, after = (mask[:-1], mask[1:]) if axis == 0 else (mask[:, :-1], mask[:, 1:])
        over = before != after
        near = np.zeros_like(over)
        for shift in (-2, -1, 1, 2):
            near |= np.roll(over, shift, axis=axis)
        steps["over"] += list(apart[over])
        steps["beside"] += list(apart[near & ~over])
    return float(np.mean(steps["over"]) - np.mean(steps["beside"]))


def outside(desk: Desk, number: int) -> dict[str, str]:
    rng = np.random.default_rng(5)
    differing, seams, raw = 0, [], 0
    for k in range(number):
        scene = next(scenes(100 + k, pair, 1))
        old = desk.real(scene, k)
        mask = np.zeros((128, 128), np.bool_)
        for _ in range(int(rng.integers(1, 4))):
            top, left = rng.integers(0, 100, 2)
            mask[top : top + rng.integers(8, 70), left : left + rng.integers(8, 70)] = True
        white = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
        for sampler in SAMPLERS:
            new = desk.draw(
                TextPart(prompt=caption(scene)),
                ImagePart(source=desk.saved(old)),
                MaskPart(source=desk.saved(white, "mask.png")),
                seed=k,
                sampler=sampler,
                steps=10,
            )
            differing += int((new[~mask] != old[~mask]).any(axis=-1).sum())
            seams.append(seam(old, new, mask))
            raw += 1
    return {
        "pixels outside the mask that differ": f"{differing} ({raw} drawings)",
        "step over the seam beyond the steps beside it": f"mean {np.mean(seams):+.2f}, 95th percentile "
        f"{np.percentile(seams, 95):+.2f} of 255",
    }


def replaced(desk: Desk, number: int, sheet: list[Pixels]) -> dict[str, str]:
    new_seen, kept = 0, 0
    for k, scene in enumerate(scenes(11, pair, number)):
        other = str(
            np.random.default_rng(k).choice([n for n in words.OBJECT_NAMES if n not in scene.objects])
        )
        wanted = replace(scene, objects=(other, scene.objects[1]))
        if k == 0:
            scene = Scene(("dog", "rabbit"), "beach", relation="left of")
            wanted = replace(scene, objects=("cat", "rabbit"))
        old = desk.real(scene, k)
        new = desk.draw(
            TextPart(prompt=caption(wanted)),
            ImagePart(source=desk.saved(old)),
            MaskPart(area="0,36,64x92"),
            seed=k,
        )
        seen = desk.top(new, 2)
        new_seen += wanted.objects[0] in seen
        kept += wanted.objects[1] in seen
        sheet += [old, new]
    return {
        "the new object is seen": f"{new_seen / number:.1%} (n {number})",
        "the other one is kept": f"{kept / number:.1%}",
    }


def mixed(desk: Desk, number: int, sheet: list[Pixels], mode: Any) -> dict[str, str]:
    both, one = 0, 0
    for k, scene in enumerate(scenes(12, pair, number)):
        names = ("frog", "rabbit") if k == 0 else scene.objects
        prompts = [caption(Scene((name,), "white")) for name in names]
        mix = MixPart(prompts=(MixPrompt(prompt=prompts[1], ratio=0.5),), mode=mode)
        new = desk.draw(TextPart(prompt=prompts[0]), mix, seed=k)
        top = desk.top(new, 2)
        both += top == set(names)
        one += bool(top & set(names))
        sheet.append(new)
    seen = f"{both / number:.1%}, one of them {one / number:.1%}"
    return {f"mix by {mode}: the two likeliest are the two": seen}


def restyled(desk: Desk, number: int, sheet: list[Pixels], task: str, strength: float) -> dict[str, str]:
    kept, changed, alone = 0, 0, 0
    for k, scene in enumerate(scenes(13, single, number)):
        wanted, question, names = scene, "style", words.STYLE_NAMES
        before = scene
        if task == "sketch to picture":
            before = replace(scene, style="pencil sketch")
        elif task == "black and white to colour":
            before = scene
        elif task == "day to night":
            wanted, question, names = replace(scene, time="night"), "time", tuple(words.TIMES)
        elif task == "to watercolour":
            wanted = replace(scene, style="watercolour")
        old = desk.real(before, k)
        if task == "black and white to colour":
            grey = np.asarray(Image.fromarray(old).convert("L"))
            old = np.repeat(grey[..., None], 3, axis=2)
        text = TextPart(prompt=caption(wanted))
        new = desk.draw(text, ImagePart(source=desk.saved(old), strength=strength), seed=k)
        right = wanted.time if question == "time" else wanted.style
        kept += scene.objects[0] in desk.top(new, 1)
        changed += desk.best(question, names, new) == right
        alone += desk.best(question, names, desk.draw(text, seed=k)) == right
        sheet += [old, new]
    return {
        f"{task}, strength {strength:g}": f"object kept {kept / number:.1%}, changed {changed / number:.1%} "
        f"(from the prompt alone {alone / number:.1%}; n {number})"
    }


def write_sheet(path: Path, pictures: list[Pixels], columns: int) -> None:
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * 132, rows * 132), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (place % columns * 132, place // columns * 132))
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=21)
    parser.add_argument("--masks", type=int, default=50)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--only", default="outside,replaced,mixed,restyled")
    asked = parser.parse_args()
    table: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        sheets: dict[str, list[Pixels]] = {}
        if "outside" in asked.only:
            table |= outside(desk, asked.masks)
        if "replaced" in asked.only:
            table |= replaced(desk, asked.number, sheets.setdefault("replaced", []))
        if "mixed" in asked.only:
            for mode in ("branches", "embeddings"):
                table |= mixed(desk, asked.number, sheets.setdefault(f"mixed-{mode}", []), mode)
        if "restyled" in asked.only:
            for task in ("sketch to picture", "black and white to colour", "day to night", "to watercolour"):
                for strength in STRENGTHS:
                    table |= restyled(desk, asked.number, sheets.setdefault(task, []), task, strength)
        for name, pictures in sheets.items():
            if asked.sheets is not None:
                write_sheet(asked.sheets / f"{name.replace(' ', '-')}.png", pictures, 14)
    for name, value in table.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
