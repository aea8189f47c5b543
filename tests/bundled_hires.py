"""What drawing larger comes to with the bundled model: run `PYTHONPATH=tests python -m bundled_hires WHAT`.

`memory` draws 512x512 plainly and 2048x2048 in passes, each in a process of its own, and prints the peak
memory of both. `seams` prints how large steps across the borders of windows are, against those beside them.
`judge` prints on how many pictures the judge still names the object.
"""

import argparse
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.engine.windows import windows_of
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.hires import HiresPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]
PROMPT: Final = "a frog on a beach"
PROMPTS: Final = (PROMPT, "a cat on white", "a house in the snow", "a rocket at night")
PLACES: Final = ("on a beach", "in the snow", "in a meadow", "at night")
# (scale, strength, keep); what is not given is left to the recipe
JUDGED: Final = (
    (2.0, 0.1, 1.0),
    (2.0, 0.2, 0.0),
    (2.0, 0.2, 1.0),
    (2.0, 0.35, 0.0),
    (2.0, 0.35, 1.0),
    (4.0, 0.1, 0.0),
    (4.0, 0.1, 1.0),
    (4.0, 0.2, 0.0),
    (4.0, 0.2, 1.0),
)


def drawn(bundle: ModelBundle, prompt: str, *parts: Part, seed: int = 7, size: int | None = None) -> Pixels:
    recipe = Recipe(seed=seed, width=size, height=size, parts=(TextPart(prompt=prompt), *parts))
    with closing(draw(resolve(recipe, bundle.defaults), bundle)) as events:
        return next(one.pixels for one in events if isinstance(one, Picture))


def bundle_of(settings: Settings) -> ModelBundle:
    return load_bundle("bundled", settings)


def seam(pixels: Pixels, borders: tuple[int, ...], latent: int, axis: int) -> tuple[float, float]:
    """Return the mean step across `borders` (the first row or column after each), and the mean of the steps
    one to three latents beside them, in levels of 255: `latent` is the pixels of one, as decoders leave a
    grid of their own.
    """
    steps = np.abs(np.diff(pixels.astype(np.float32), axis=axis)).mean(axis=(1 - axis, 2))
    far = 3 * latent
    over = [border - 1 for border in borders if far < border < pixels.shape[axis] - far]
    beside = [place + latent * shift for place in over for shift in (-3, -2, -1, 1, 2, 3)]
    return float(steps[over].mean()), float(steps[beside].mean())


def seams(settings: Settings, scale: float, number: int, save: Path | None) -> None:
    """Print the steps across the borders of the windows of the last step, and beside them."""
    bundle = bundle_of(settings)
    part = HiresPart(scale=scale)
    hires = resolve(Recipe(seed=0, parts=(part,)), bundle.defaults).hires
    assert hires is not None
    windows = windows_of(hires.window, hires.overlap, bundle.downsample)
    measured: list[tuple[float, float]] = []
    for k in range(number):
        pixels = drawn(bundle, PROMPTS[k % len(PROMPTS)], part, seed=7 + k)
        if save is not None and k == 0:
            Image.fromarray(pixels).save(save)
        height, width = (side // bundle.downsample for side in pixels.shape[:2])
        last = windows.at(hires.steps - 1, height, width)
        for axis, starts in enumerate((last.tops, last.lefts)):
            borders = tuple(bundle.downsample * start for start in starts)
            measured.append(seam(pixels, borders, bundle.downsample, axis))
    over, beside = np.mean(measured, axis=0)
    print(f"{number} pictures: {over:.3f} across, {beside:.3f} beside, of 255")


def peak(settings: Settings, what: str, scale: float) -> None:
    """Draw in this process, and print its peak memory."""
    import resource

    bundle = bundle_of(settings)
    if what == "plain":
        drawn(bundle, PROMPT, size=512)
    else:
        drawn(bundle, PROMPT, HiresPart(scale=scale))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def memory(scale: float) -> None:
    peaks: list[int] = []
    for what in ("plain", "hires"):
        command = [sys.executable, "-m", "bundled_hires", "peak", "--of", what, "--scale", str(scale)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout.split()[-1]))
        print(f"{what}: {peaks[-1] / 1e6:.0f} MB")
    print(f"ratio: {peaks[1] / peaks[0]:.2f}")


def judge(settings: Settings, number: int, first: int, rows: tuple[int, ...]) -> None:
    from sfumato.models.judge import bundled_judge, load_judge
    from sfumato.scenes import vocabulary as words

    bundle, judging = bundle_of(settings), load_judge(bundled_judge())
    rng = np.random.default_rng(first)
    names = [str(rng.choice(words.OBJECT_NAMES)) for _ in range(number)]
    prompts = [f"a {name} {PLACES[k % len(PLACES)]}" for k, name in enumerate(names)]

    def named(*parts: Part) -> int:
        right = 0
        for k, (name, prompt) in enumerate(zip(names, prompts, strict=True)):
            scores = judging(drawn(bundle, prompt, *parts, seed=first + k)[None]).objects[0]
            right += words.OBJECT_NAMES[int(scores.argmax())] == name
        return right

    print(f"128x128: {named()} of {number}", flush=True)
    for row in rows:
        scale, strength, keep = JUDGED[row]
        part = HiresPart(scale=scale, strength=strength, keep=keep)
        print(f"x{scale:g}, strength {strength}, keep {keep}: {named(part)} of {number}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "seams", "judge", "peak"])
    parser.add_argument("--of", choices=["plain", "hires"], default="hires")
    parser.add_argument("--scale", type=float, default=16.0)
    parser.add_argument("--number", type=int, default=16)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", type=int, nargs="*", default=list(range(len(JUDGED))))
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args()
    settings = Settings.from_environment(os.environ)
    match asked.what:
        case "memory":
            memory(asked.scale)
        case "peak":
            peak(settings, asked.of, asked.scale)
        case "seams":
            seams(settings, asked.scale, asked.number, asked.save)
        case _:
            judge(settings, asked.number, asked.first, tuple(asked.rows))


if __name__ == "__main__":
    main()
