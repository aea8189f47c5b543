"""What drawing larger comes to with the bundled model: run `PYTHONPATH=tests python -m bundled_hires WHAT`.

`memory` draws 512x512 plainly and 2048x2048 in several ways, each by its command line in a process of its
own, and prints the peak memory of all: of commands that never ran before, or, `--stored`, with graphs that
earlier ones have stored. `seams` prints how large steps across the borders of windows are, against those
beside them, and waves as long as windows are apart, of `--number` pictures `--scale` times as large
(`--windows`: drawn in windows alone); they are kept in `--save FOLDER`, and taken from there the next time.
`judge` prints on how many of `--number` pictures the judge still names the object. `--rows` chooses lines of
MEASURED_LINES and of JUDGED, from 0.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.engine.windows import windows_of
from sfumato.imaging.tiles import Tiling
from sfumato.models.bundle import ModelBundle, tiles_alike
from sfumato.models.load import load_bundle
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]
PROMPT: Final = "a frog on a beach"
# The first is what all are compared with. The last does as little as it can in the same memory.
MEASURED_LINES: Final = (
    ("generate", PROMPT, "--size", "512"),
    ("generate", PROMPT, "--hires", "4"),
    ("generate", PROMPT, "--hires", "16"),
    ("generate", PROMPT, "--size", "2048", "--windows", "auto", "--steps", "2"),
    ("upscale", "{picture}", "--redraw", PROMPT),
    (
        "generate",
        PROMPT,
        *["--hires", "16", "--hires-passes", "2", "--hires-steps", "10", "--window-overlap", "0"],
    ),
)
# `sfumato`, and then the most memory that the process has held: getrusage would count its parent's, too.
MEASURED: Final = """
from sfumato.cli import main
try:
    main()
except SystemExit as stop:
    if stop.code:
        raise
from sfumato.evaluation.speed.worker import peak_bytes
print(peak_bytes())
"""
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


def seam(pixels: Pixels, borders: tuple[int, ...], latent: int, axis: int) -> NDArray[np.float64]:
    """Return `(n,2)`: for each of `borders` (the first row or column behind it) that is no side of the
    picture, the mean step across it, and the mean of the steps one to three latents beside it, in levels of
    255. `latent` is the pixels of one, as decoders leave a grid of their own.
    """
    steps = np.abs(np.diff(pixels.astype(np.float32), axis=axis)).mean(axis=(1 - axis, 2))
    far = 3 * latent
    over = [border - 1 for border in borders if far < border < pixels.shape[axis] - far]
    beside = [[place + latent * shift for shift in (-3, -2, -1, 1, 2, 3)] for place in over]
    return np.array([(steps[one], steps[few].mean()) for one, few in zip(over, beside, strict=True)])


def wave(pixels: Pixels, length: float, axis: int) -> tuple[float, float]:
    """Return how high a wave of `length` pixels is in the means of rows (or columns), and how high waves of
    other lengths near it are on average, in levels of 255.
    """
    means = pixels.astype(np.float64).mean(axis=(1 - axis, 2))
    places = np.arange(len(means))
    window = np.hanning(len(means))
    means = (means - np.polyval(np.polyfit(places, means, 3), places)) * window

    def height(one: float) -> float:
        return float(2 * abs((means * np.exp(2j * np.pi * places / one)).sum()) / window.sum())

    near = [length * by for by in (0.7, 0.75, 0.8, 0.85, 1.2, 1.25, 1.3, 1.35)]
    return height(length), float(np.mean([height(one) for one in near]))


def borders_of(tiling: Tiling, downsample: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return where tiles begin and end, in pixels, down and across."""
    sides = (tiling.tops, tiling.tile_height), (tiling.lefts, tiling.tile_width)
    ends = [sorted({*starts, *(start + length for start in starts)}) for starts, length in sides]
    return tuple(downsample * one for one in ends[0]), tuple(downsample * one for one in ends[1])


def seams(settings: Settings, scale: float, number: int, save: Path | None, *, only_windows: bool) -> None:
    """Print the steps across the borders of the windows of the last step, and beside them; and the same for
    the tiles that are decoded.
    """
    bundle = bundle_of(settings)
    size = round(scale * bundle.defaults.width)
    part: Part = WindowsPart() if only_windows else HiresPart(scale=scale)
    resolved = resolve(Recipe(seed=0, width=size, height=size, parts=(WindowsPart(),)), bundle.defaults)
    windows, steps = resolved.windows, resolved.steps
    assert windows is not None
    over_all = windows_of(windows.size, windows.overlap, bundle.downsample)
    found: dict[str, list[NDArray[np.float64]]] = {"windows of the last step": [], "decoded tiles": []}
    waves: list[tuple[float, float]] = []
    for k in range(number):
        file = None if save is None else save / f"{k}.png"
        if file is not None and file.exists():
            with Image.open(file) as image:
                pixels = np.array(image.convert("RGB"))
        else:
            prompt, own = PROMPTS[k % len(PROMPTS)], size if only_windows else None
            pixels = drawn(bundle, prompt, part, seed=7 + k, size=own)
        if file is not None and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
        height, width = (side // bundle.downsample for side in pixels.shape[:2])
        tilings = over_all.at(steps - 1, height, width), tiles_alike(bundle, height, width)
        pitch = bundle.downsample * (over_all.side - over_all.overlap)
        waves += [wave(pixels, pitch, axis) for axis in (0, 1)]
        for rows, tiling in zip(found.values(), tilings, strict=True):
            for axis, borders in enumerate(borders_of(tiling, bundle.downsample)):
                rows.append(seam(pixels, borders, bundle.downsample, axis))
    own, other = np.mean(waves, axis=0)
    print(f"waves as long as windows are apart: {own:.2f} of 255 high, others near them {other:.2f}")
    for name, rows in found.items():
        both = np.concatenate([one for one in rows if len(one)])
        more = both[:, 0] - both[:, 1]
        error = more.std(ddof=1) / len(more) ** 0.5
        print(
            f"{name}: {number} pictures, {len(more)} borders: {both[:, 0].mean():.3f} of 255 across, ", end=""
        )
        print(f"{both[:, 1].mean():.3f} beside, {more.mean():+.3f} (standard error {error:.3f})", flush=True)


def measured(home: Path, *words: str) -> tuple[int, float]:
    """Return the peak memory in bytes of one command line in a process of its own, and its seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-c", MEASURED, *words]
    environ = {**os.environ, "SFUMATO_HOME": str(home)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ)
    return int(done.stdout.split()[-1]), time.perf_counter() - began


def memory(rows: tuple[int, ...], *, stored: bool) -> None:
    """Print the peak memory of command lines, from the start to the picture on disk; `stored`: where the
    compiled graphs of earlier drawings are.
    """
    first: int | None = None
    with tempfile.TemporaryDirectory() as folder:
        picture, shared = Path(folder) / "512.png", Path(folder) / "home"
        if stored or any("upscale" in MEASURED_LINES[row] for row in rows):
            # Windows and tiles are of the same sizes whatever the picture's.
            measured(shared, *MEASURED_LINES[0], "--output", str(picture))
            measured(shared, *MEASURED_LINES[1], "--output", str(picture))
        for row in rows:
            words = [word.format(picture=picture) for word in MEASURED_LINES[row]]
            out, home = str(Path(folder) / f"{row}.png"), Path(folder) / f"home-{row}"
            found, seconds = measured(shared if stored else home, *words, "--seed", "7", "--output", out)
            first = found if first is None else first
            with Image.open(out) as image:
                size = image.size
            print(f"{' '.join(MEASURED_LINES[row])}: {size[0]}x{size[1]}, {found / 1e6:.0f} MB, ", end="")
            print(f"{found / first:.2f} times the first, {seconds:.0f} s", flush=True)


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
    parser.add_argument("what", choices=["memory", "seams", "judge"])
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--number", type=int, default=16)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", type=int, nargs="*")
    parser.add_argument("--windows", action="store_true")
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args()
    settings = Settings.from_environment(os.environ)
    match asked.what:
        case "memory":
            memory(
                tuple(range(len(MEASURED_LINES)) if asked.rows is None else asked.rows), stored=asked.stored
            )
        case "seams":
            seams(settings, asked.scale, asked.number, asked.save, only_windows=asked.windows)
        case _:
            judge(
                settings,
                asked.number,
                asked.first,
                tuple(range(len(JUDGED)) if asked.rows is None else asked.rows),
            )


if __name__ == "__main__":
    main()
