"""Pictures of every tiny family beside those of stock diffusers, with the same weights and noise.

As a program it prints the whole table: `python tests/family_parity.py`.
"""

import functools
import math
import warnings
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from family_models import FAMILIES, family_bundle, family_folder
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.schedule import grid

FROG = TextPart(prompt="a frog on a beach at night")
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "lcm": "LCMScheduler",
}
TOLD_GUIDANCE = ("lcm-sd", "lcm-sdxl", "lcm-ssd-1b")


def resolved(family: str, *parts: Part, **fields: Any) -> Resolved:
    """Return what runs with the tiny model of `family`, with seed 7."""
    return resolve(Recipe(seed=7, parts=parts, **fields), family_bundle(family).defaults)


def drawn(family: str, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    """Return the picture that we draw."""
    events = draw(resolved(family, *parts, **fields), family_bundle(family))
    return next(event.pixels for event in events if isinstance(event, Picture))


@functools.cache
def pipeline(family: str) -> Any:
    """Return diffusers' pipeline of a tiny model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe: Any = diffusers.DiffusionPipeline.from_pretrained(family_folder(family))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stock(family: str, sampler: str = "euler", **call: Any) -> NDArray[np.uint8]:
    """Return the picture that diffusers draws, with seed 7 and, but for lcm, trailing timesteps."""
    pipe = pipeline(family)
    spacing = {} if sampler == "lcm" else {"timestep_spacing": "trailing"}
    pipe.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config(pipe.scheduler.config, **spacing)
    generator = torch.Generator("cpu").manual_seed(7)
    if "image" in call:  # the noise that it is began with this generator
        torch.randn(1, 4, 8, 8, generator=generator)
    return np.asarray(pipe(**{"prompt": FROG.prompt, **call}, generator=generator).images[0])


def refiner_start(steps: int, sampler: str) -> dict[str, Any]:
    """Return what diffusers' refiner, which takes pictures only, draws from pure noise with."""
    sigma = grid(family_bundle("sdxl-refiner").schedule, steps, "trailing")[0]
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    scale = math.sqrt(1 + sigma * sigma) if sampler.startswith("euler") else 1.0
    return {"image": noise * scale, "denoising_start": 1e-6}  # all steps, and nothing added


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio of two pictures in dB."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def parity(family: str, sampler: str, steps: int = 4, guidance: float = 4.0) -> float:
    """Return the PSNR of our picture and diffusers' in dB."""
    spacing = "lcm" if sampler == "lcm" else "trailing"
    ours = drawn(family, FROG, steps=steps, guidance=guidance, sampler=sampler, spacing=spacing)
    more = refiner_start(steps, sampler) if family == "sdxl-refiner" else {"height": 64, "width": 64}
    return psnr(ours, stock(family, sampler, num_inference_steps=steps, guidance_scale=guidance, **more))


def table() -> str:
    """Return the Markdown table of every family and sampler, at 8 steps."""
    samplers = [*SCHEDULERS][:-1]
    lines = [f"| family | {' | '.join(samplers)} | lcm |", "|---" * (len(samplers) + 2) + "|"]
    for family in FAMILIES:
        row = [f"{parity(family, sampler, 8):.1f}" for sampler in samplers]
        row.append(f"{parity(family, 'lcm', 8):.1f}" if family in TOLD_GUIDANCE else "")
        lines.append(f"| {family} | {' | '.join(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
