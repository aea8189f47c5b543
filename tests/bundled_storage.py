"""How near pictures of the bundled model are with weights in eight bits: run `python tests/bundled_storage.py`.

The same prompts and seeds with whole weights and with each storage, in float32 on the processor; the PSNR of
the pictures: its median, its quartiles and the worst.
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
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings


def pictures(settings: Settings, number: int, steps: int) -> list[NDArray[np.uint8]]:
    """Return the pictures of the first prompts."""
    bundle = load_bundle("bundled", settings)
    found: list[NDArray[np.uint8]] = []
    for index in range(number):
        recipe = Recipe(parts=(TextPart(prompt=prompt(index)),), seed=index, steps=steps)
        with closing(draw(resolve(recipe, bundle.defaults), bundle)) as events:
            found += [event.pixels for event in events if isinstance(event, Picture)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dtype", default="float32")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), backend="torch", device="cpu", dtype=asked.dtype)
        whole = pictures(settings, asked.number, asked.steps)
        print(f"{asked.number} prompts, {asked.steps} steps, {asked.dtype}; PSNR against whole weights in dB")
        for storage in ("int8", "float8"):
            made = pictures(replace(settings, storage=storage), asked.number, asked.steps)
            each = np.array([psnr(one, other) for one, other in zip(made, whole, strict=True)])
            low, middle, high = np.percentile(each, (25, 50, 75))
            print(
                f"{storage:8} median {middle:.1f}, quartiles {low:.1f} and {high:.1f}, worst {each.min():.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
