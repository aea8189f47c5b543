"""Stock diffusers beside Sfumato on the bundled model: the same weights, noise and steps.

`python -m bundled_parity` (with `tests` on the path) prints a table of samplers for several prompts, and one
of precisions of the compiled networks for 32; stock diffusers computes in float32 throughout.
"""

import math
import os
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

import sfumato.models
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.evaluation.prompts import FULL, ask
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

FOLDER = Path(sfumato.models.__file__).parent / "bundled" / "model"
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
}
STEPS = 20
PROMPTS = ("a frog on a beach", "an astronaut riding a horse", "pencil sketch of a black cat")


FLOORS = {"float32": 60.0, "bfloat16": 40.0, "int8": 40.0}  # dB, by precision of the compiled networks
SAMPLER = "ddim"


@lru_cache
def ours(dtype: str = "float32") -> ModelBundle:
    settings = Settings.from_environment(os.environ)
    return load_bundle("bundled", replace(settings, backend="openvino", device="cpu", dtype=dtype))


@lru_cache
def theirs() -> Any:
    pipe = StableDiffusionPipeline.from_pretrained(FOLDER, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def psnr(sampler: str, prompt: str, seed: int = 7, dtype: str = "float32", guidance: float = 3.0) -> float:
    """PSNR in dB between the two programs' 8-bit pictures of `prompt`, Sfumato's in the precision `dtype`."""
    return _psnr(drawn(sampler, prompt, seed, dtype, guidance), stock(sampler, prompt, seed, guidance))


@lru_cache
def stock(sampler: str, prompt: str, seed: int, guidance: float) -> NDArray[np.uint8]:
    """Return the picture of diffusers."""
    pipe = theirs()
    pipe.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config(pipe.scheduler.config)
    generator = torch.Generator("cpu").manual_seed(seed)
    picture = pipe(
        prompt, num_inference_steps=STEPS, guidance_scale=guidance, generator=generator, output_type="pil"
    ).images[0]
    return np.asarray(picture)


def drawn(sampler: str, prompt: str, seed: int, dtype: str, guidance: float) -> NDArray[np.uint8]:
    """Return the picture of Sfumato."""
    recipe = Recipe(
        parts=(TextPart(prompt=prompt, guidance_rescale=0.0),),
        seed=seed,
        steps=STEPS,
        sampler=sampler,
        spacing="trailing",
        guidance=guidance,
    )
    with closing(draw(resolve(recipe, ours(dtype).defaults), ours(dtype))) as events:
        (pixels,) = [event.pixels for event in events if isinstance(event, Picture)]
    return pixels


def asked(number: int) -> list[tuple[str, int]]:
    """Return prompts of the evaluation, from all its sections, each with the seed it has there."""
    everything = ask(1, FULL)
    return [(one.prompt, one.seed) for one in everything[:: len(everything) // number][:number]]


def _psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def main() -> None:
    print("| sampler | lowest PSNR | highest |\n|---|---|---|")
    for sampler in SCHEDULERS:
        values = [psnr(sampler, prompt) for prompt in PROMPTS]
        print(f"| {sampler} | {min(values):.1f} dB | {max(values):.1f} dB |")
    pictures = asked(32)
    print("\n| compiled | lowest PSNR | median | highest | pictures |\n|---|---|---|---|---|")
    for dtype in FLOORS:
        values = [psnr(SAMPLER, prompt, seed, dtype, guidance=2.0) for prompt, seed in pictures]
        low, middle, high = min(values), median(values), max(values)
        print(f"| {dtype} | {low:.1f} dB | {middle:.1f} dB | {high:.1f} dB | {len(set(pictures))} |")


if __name__ == "__main__":
    main()
