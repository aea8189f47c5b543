"""Stock diffusers beside Sfumato on the bundled model: the same weights, noise and steps.

`python -m bundled_parity` (with `tests` on the path) prints the table for several prompts.
"""

import math
import os
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

import sfumato.models
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

FOLDER = Path(sfumato.models.__file__).parent / "bundled" / "model"
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
}
PROMPTS = ("a frog on a beach", "an astronaut riding a horse", "pencil sketch of a black cat")


@lru_cache
def ours() -> ModelBundle:
    settings = Settings.from_environment({**os.environ, "SFUMATO_DEVICE": "cpu", "SFUMATO_DTYPE": "float32"})
    return load_bundle("bundled", settings)


@lru_cache
def theirs() -> Any:
    pipe = StableDiffusionPipeline.from_pretrained(FOLDER, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def psnr(sampler: str, prompt: str, seed: int = 7, steps: int = 20, guidance: float = 3.0) -> float:
    """PSNR in dB between the two programs' 8-bit pictures of `prompt`."""
    pipe = theirs()
    pipe.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config(pipe.scheduler.config)
    generator = torch.Generator("cpu").manual_seed(seed)
    stock = pipe(
        prompt, num_inference_steps=steps, guidance_scale=guidance, generator=generator, output_type="pil"
    ).images[0]
    recipe = Recipe(
        parts=(TextPart(prompt=prompt, guidance_rescale=0.0),),
        seed=seed,
        steps=steps,
        sampler=sampler,
        spacing="trailing",
        guidance=guidance,
    )
    with closing(draw(resolve(recipe, ours().defaults), ours())) as events:
        (drawn,) = [event.pixels for event in events if isinstance(event, Picture)]
    return _psnr(drawn, np.asarray(stock))


def _psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def main() -> None:
    print("| sampler | lowest PSNR | highest |\n|---|---|---|")
    for sampler in SCHEDULERS:
        values = [psnr(sampler, prompt) for prompt in PROMPTS]
        print(f"| {sampler} | {min(values):.1f} dB | {max(values):.1f} dB |")


if __name__ == "__main__":
    main()
