"""What the extras of sampling come to with the bundled model: run
`PYTHONPATH=tests python -m bundled_extras`.

Draws single objects and prints, for every setting, how many of them the judge finds, their mean saturation
and the share of their channels at 0 or 255; with `--seams`, how far textures fit themselves. Names of
settings draw these alone.
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.evaluation.judging import answers
from sfumato.models.bundle import ModelBundle
from sfumato.models.judge import Judge, bundled_judge, load_judge
from sfumato.models.load import load_bundle
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption
from sfumato.settings import Settings

Pixels = NDArray[np.uint8]
BACKGROUNDS = ("beach", "meadow", "snow", "white", "blue")
SETTINGS: dict[str, tuple[float, ExtrasPart | None]] = {
    "plain 2": (2.0, None),
    "plain 8": (8.0, None),
    "apg 2": (2.0, ExtrasPart(apg=Apg())),
    "apg 8": (8.0, ExtrasPart(apg=Apg())),
    "apg-eta 8": (8.0, ExtrasPart(apg=Apg(norm=0.0, momentum=0.0))),
    "apg-norm 8": (8.0, ExtrasPart(apg=Apg(eta=1.0, momentum=0.0))),
    "threshold 2": (2.0, ExtrasPart(threshold=0.995)),
    "threshold 8": (8.0, ExtrasPart(threshold=0.995)),
    "threshold-0.9 8": (8.0, ExtrasPart(threshold=0.9)),
    "pag-1 2": (2.0, ExtrasPart(pag=1.0)),
    "pag-3 2": (2.0, ExtrasPart(pag=3.0)),
    "pag-20 2": (2.0, ExtrasPart(pag=20.0)),
    "plain 1": (1.0, None),
    "pag-3 1": (1.0, ExtrasPart(pag=3.0)),
    "clip-skip-2 2": (2.0, ExtrasPart(clip_skip=2)),
    "freeu 2": (2.0, ExtrasPart(freeu=FreeU(b1=1.2, b2=1.4, s1=0.9, s2=0.2))),
    "freeu-mild 2": (2.0, ExtrasPart(freeu=FreeU(b1=1.1, b2=1.1, s1=0.9, s2=0.9))),
}


def scenes(number: int) -> list[Scene]:
    """Every `number`-th part of the objects, each on one background."""
    names = words.OBJECT_NAMES[:: max(1, len(words.OBJECT_NAMES) // number)][:number]
    return [Scene((name,), BACKGROUNDS[k % len(BACKGROUNDS)]) for k, name in enumerate(names)]


def pairs(number: int) -> list[Scene]:
    """Two objects side by side, the first next to the one half of the list further on."""
    names = words.OBJECT_NAMES
    return [
        Scene(
            (names[3 * k % len(names)], names[(3 * k + len(names) // 2) % len(names)]),
            BACKGROUNDS[k % len(BACKGROUNDS)],
            relation="left of",
        )
        for k in range(number)
    ]


def drawn(bundle: ModelBundle, prompt: str, seed: int, extras: ExtrasPart | None, **fields: Any) -> Pixels:
    parts: tuple[Part, ...] = (TextPart(prompt=prompt), *(() if extras is None else (extras,)))
    resolved = resolve(Recipe(seed=seed, parts=parts, **fields), bundle.defaults)
    with closing(draw(resolved, bundle)) as events:
        return next(one.pixels for one in events if isinstance(one, Picture))


def saturation(pixels: Pixels) -> float:
    """Return the mean of (max - min) / max over the channels, as HSV has it."""
    high, low = pixels.max(-1).astype(float), pixels.min(-1).astype(float)
    return float(((high - low) / np.maximum(high, 1)).mean())


def seam(pixels: Pixels, axis: int) -> tuple[float, float]:
    """Return the step over the wrapped border along `axis`, and the mean of the four beside it; of 255."""
    apart = np.abs(pixels.astype(float) - np.roll(pixels.astype(float), 1, axis=axis))
    steps = apart.mean(axis=tuple(k for k in range(3) if k != axis))
    return float(steps[0]), float(steps[[-2, -1, 1, 2]].mean())


def judged(bundle: ModelBundle, judge: Judge, name: str, asked: list[Scene]) -> str:
    guidance, extras = SETTINGS[name]
    right, colours, clipped = 0, [], []
    for k, scene in enumerate(asked):
        pixels = drawn(bundle, caption(scene), k, extras, guidance=guidance)
        right += answers(scene, judge(pixels[None]))[0].right  # the objects
        colours.append(saturation(pixels))
        clipped.append(float(((pixels == 0) | (pixels == 255)).mean()))
    n = len(asked)
    share = right / n
    error = (share * (1 - share) / n) ** 0.5
    return (
        f"| {name} | {right} of {n}, {share:.1%} (standard error {error:.1%}) | {np.mean(colours):.3f} "
        f"| {np.mean(clipped):.1%} |"
    )


def seams(bundle: ModelBundle, number: int) -> None:
    for tiling in (None, "x", "y", "both"):
        extras = None if tiling is None else ExtrasPart(tiling=tiling)
        pictures = [drawn(bundle, caption(scene), k, extras) for k, scene in enumerate(scenes(number))]
        for axis, along in ((1, "x"), (0, "y")):
            found = np.array([seam(one, axis) for one in pictures])
            over, beside = found.mean(axis=0)
            more = found[:, 0] - found[:, 1]
            print(
                f"| tiling {tiling or 'off'}, {along} | {over:.2f} | {beside:.2f} | {np.median(more):+.2f} "
                f"| {np.percentile(more, 90):+.2f} | n {len(pictures)}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="settings to draw; all")
    parser.add_argument("--number", type=int, default=96)
    parser.add_argument("--seams", action="store_true")
    parser.add_argument("--pairs", action="store_true", help="two objects instead of one")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle("bundled", Settings(data_dir=Path(folder)))
        if asked.seams:
            seams(bundle, asked.number)
            return
        judge = load_judge(bundled_judge())
        for name in asked.names or SETTINGS:
            wanted = (pairs if asked.pairs else scenes)(asked.number)
            print(judged(bundle, judge, name, wanted), flush=True)


if __name__ == "__main__":
    main()
