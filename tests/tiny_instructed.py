"""Tiny random models that are edited by instructions, beside diffusers' own pipelines for them.

As a program it prints how near they are: `python tests/tiny_instructed.py`.
"""

import functools
import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from family_models import BOTH, SD, XL, ZEROS, Family, write_family
from family_parity import SCHEDULERS, psnr
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import ImagePart, Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import temporary_folder, tiny_settings

NIGHT = TextPart(prompt="a frog on a beach at night")
SHOWN = {"in_channels": 8}
FIRST, LARGE, COSXL = "sd-pix2pix", "sdxl-pix2pix", "cosxl-pix2pix"
EDM: dict[str, Any] = {
    "_class_name": "EDMEulerScheduler",
    "prediction_type": "v_prediction",
    "sigma_data": 1.0,
    "sigma_max": 120.0,
    "sigma_min": 0.002,
    "sigma_schedule": "exponential",
}
FAMILIES = {
    FIRST: (Family({**SD, **SHOWN}), "StableDiffusionInstructPix2PixPipeline"),
    LARGE: (
        Family({**XL, **SHOWN}, encoders=BOTH, index=ZEROS),
        "StableDiffusionXLInstructPix2PixPipeline",
    ),
    COSXL: (
        Family({**XL, **SHOWN}, EDM, BOTH, {**ZEROS, "is_cosxl_edit": True}),
        "StableDiffusionXLInstructPix2PixPipeline",
    ),
}
EDM_SCHEDULERS = {"euler": "EDMEulerScheduler", "dpmpp_2m": "EDMDPMSolverMultistepScheduler"}
WIDTH, HEIGHT = 64, 64


@functools.cache
def instructed_folder(name: str) -> Path:
    """Return the folder of a tiny model of this family, the same one all through a test run."""
    family, pipeline = FAMILIES[name]
    folder = write_family(temporary_folder() / "instructed" / name, family)
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": pipeline}))
    return folder


@functools.cache
def instructed_bundle(name: str) -> ModelBundle:
    """Return the model of `instructed_folder`, loaded on the CPU."""
    return load_bundle(str(instructed_folder(name)), tiny_settings())


@functools.cache
def picture(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Return a file with a smooth colourful picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path = temporary_folder() / f"waves-{seed}-{width}-{height}.png"
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return str(path)


def planned(name: str, *parts: Part, **fields: Any) -> tuple[Resolved, Inputs]:
    """Return what runs with the tiny model, with seed 7, and its pictures."""
    recipe = Recipe(parts=parts, **{"seed": 7, **fields})
    inputs = read_inputs(recipe, tiny_settings())
    return resolve(recipe, instructed_bundle(name).defaults, sources=inputs.facts), inputs


def drawn(name: str, *parts: Part, image: ImagePart | None = None, **fields: Any) -> NDArray[np.uint8]:
    """Return the picture that we draw, of the picture `image` or `picture()`."""
    image = ImagePart(source=picture()) if image is None else image
    resolved, inputs = planned(name, *parts, image, **fields)
    events = draw(resolved, instructed_bundle(name), inputs=inputs)
    return next(event.pixels for event in events if isinstance(event, Picture))


@functools.cache
def _pipeline(name: str) -> Any:
    pipe: Any = diffusers.DiffusionPipeline.from_pretrained(instructed_folder(name), safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stock(name: str, sampler: str, seed: int = 0, **call: Any) -> NDArray[np.uint8]:
    """Return the picture that diffusers draws of `picture(seed)`, with noise of seed 7."""
    pipe = _pipeline(name)
    if name == COSXL:
        pipe.scheduler = getattr(diffusers, EDM_SCHEDULERS[sampler]).from_config(pipe.scheduler.config)
    else:
        kind = getattr(diffusers, SCHEDULERS[sampler])
        pipe.scheduler = kind.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    generator = torch.Generator("cpu").manual_seed(7)
    given = {"prompt": NIGHT.prompt, "image": Image.open(picture(seed)), **call}
    return np.asarray(pipe(**given, generator=generator).images[0])


def table() -> str:
    """Return the Markdown table of every model and sampler, at 6 steps."""
    samplers = ["ddim", "euler", "euler_a", "dpmpp_2m", "unipc"]
    lines = [f"| | {' | '.join(samplers)} |", "|---" * (len(samplers) + 1) + "|"]
    for name in FAMILIES:
        row: list[str] = []
        spacing = "exponential" if name == COSXL else "trailing"
        for sampler in samplers:
            if name == COSXL and sampler not in EDM_SCHEDULERS:
                row.append("")
                continue
            ours = drawn(name, NIGHT, steps=6, sampler=sampler, spacing=spacing, guidance=7.5)
            theirs = stock(name, sampler, num_inference_steps=6, guidance_scale=7.5)
            row.append(f"{psnr(ours, theirs):.1f}")
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
