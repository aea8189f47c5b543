"""How near pictures of the bundled model are with weights in eight bits: `python tests/bundled_storage.py`.

The same prompts and seeds with whole weights and with each storage, with torch on the processor: the PSNR of
each picture, then the median and the worst. `--first` begins with another prompt, for long runs in pieces.
"""

import argparse
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.evaluation.parity import prompt, psnr
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

STORAGES = ("int8", "float8")


def picture(bundle: ModelBundle, index: int, steps: int) -> NDArray[np.uint8]:
    """Return the picture of one of the prompts."""
    recipe = Recipe(parts=(TextPart(prompt=prompt(index)),), seed=index, steps=steps)
    with closing(draw(resolve(recipe, bundle.defaults), bundle)) as events:
        (pixels,) = [event.pixels for event in events if isinstance(event, Picture)]
    return pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--number", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dtype", default="float32")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), backend="torch", device="cpu", dtype=asked.dtype)
        bundles = [load_bundle("bundled", replace(settings, storage=one)) for one in ("whole", *STORAGES)]
        rows: list[list[float]] = []
        for index in range(asked.first, asked.first + asked.number):
            whole, *others = [picture(bundle, index, asked.steps) for bundle in bundles]
            rows.append([psnr(one, whole) for one in others])
            said = ", ".join(f"{name} {one:.1f}" for name, one in zip(STORAGES, rows[-1], strict=True))
            print(f"{index}: {said}", flush=True)
        for name, each in zip(STORAGES, np.array(rows).T, strict=True):
            print(f"{name}: median {np.median(each):.1f} dB, worst {each.min():.1f} dB, n = {len(each)}")


if __name__ == "__main__":
    main()
