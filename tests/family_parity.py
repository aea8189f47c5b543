"""Pictures of every tiny family beside those of stock diffusers, with the same weights and noise.

    PYTHONPATH=tests python -m family_parity                    # every family and sampler, as Markdown
    PYTHONPATH=tests python -m family_parity sdxl sd2-v

Models that inpaint are given a picture and a mask, upscalers a small picture, the refiner noise to begin
with; zero terminal SNR comes with guidance rescale. Printed is the PSNR of two pictures of 8 bits in dB.

The schedulers are diffusers' own, with trailing timesteps and the settings that were published with each
family. Two of these begin or end elsewhere than we do: Euler's and Heun's noise has the standard deviation
sigma, and ours sqrt(1 + sigma^2) as in training; DDIM stops at the first training step (`set_alpha_to_one`
false), and ours at no noise. Of models that predict velocity that can be seen; rows with "same ends" have our
beginning and our end in diffusers.
"""

import argparse
import functools
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from family_models import FAMILIES, family_bundle, family_folder
from sfumato.engine.events import Picture, StepDone
from sfumato.engine.preview import to_uint8
from sfumato.engine.run import draw
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.parts import ImagePart, MaskPart, Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.schedule import grid
from tiny_models import temporary_folder, tiny_settings
from tiny_upscaler import waves

FROG = TextPart(prompt="a frog on a beach at night")
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "lcm": "LCMScheduler",
}
TOLD_GUIDANCE = ("lcm-sd", "lcm-sdxl", "lcm-ssd-1b")
SCALED = ("euler", "heun")  # whose latents are noise times sigma
RESCALED = 0.7  # what models of zero terminal SNR are drawn with, unless asked otherwise
PREDICT_V = tuple(name for name, one in FAMILIES.items() if "prediction_type" in one.scheduler)


def resolved(family: str, *parts: Part, **fields: Any) -> Resolved:
    """Return what runs with the tiny model of `family`, with seed 7."""
    return planned(family, *parts, **fields)[0]


def planned(family: str, *parts: Part, **fields: Any) -> tuple[Resolved, Inputs]:
    """Return `resolved`, and the pictures that it begins with."""
    recipe = Recipe(seed=7, parts=parts, **fields)
    inputs = read_inputs(recipe, tiny_settings())
    return resolve(recipe, family_bundle(family).defaults, sources=inputs.facts), inputs


def drawn(family: str, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    """Return the picture that we draw."""
    run, inputs = planned(family, *parts, **fields)
    events = draw(run, family_bundle(family), inputs=inputs)
    return next(event.pixels for event in events if isinstance(event, Picture))


@functools.cache
def pipeline(family: str) -> Any:
    """Return diffusers' pipeline of a tiny model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe: Any = diffusers.DiffusionPipeline.from_pretrained(family_folder(family))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@functools.cache
def published(family: str) -> dict[str, Any]:
    """Return the configuration of the scheduler that the model came with."""
    path = family_folder(family) / "scheduler" / "scheduler_config.json"
    return {key: value for key, value in json.loads(path.read_text()).items() if not key.startswith("_")}


def stock(
    family: str, sampler: str = "euler", kind: Any = None, same_ends: bool = False, **call: Any
) -> NDArray[np.uint8]:
    """Return the picture that diffusers draws, with seed 7 and, but for lcm, trailing timesteps; with the
    pipeline `kind` where that is not the model's own. `same_ends`: from our beginning to our end.
    """
    pipe = pipeline(family)
    if kind is not None:
        pipe = kind(**pipe.components)
        pipe.set_progress_bar_config(disable=True)
    changes: dict[str, Any] = {} if sampler == "lcm" else {"timestep_spacing": "trailing"}
    changes |= {"set_alpha_to_one": True} if same_ends else {}
    pipe.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config({**published(family), **changes})
    generator = torch.Generator("cpu").manual_seed(7)
    if same_ends and sampler.startswith(SCALED):
        steps = call["num_inference_steps"]
        sigma = grid(family_bundle(family).schedule, steps, "trailing")[0]
        pipe.scheduler.set_timesteps(steps)
        scale = math.sqrt(1 + sigma * sigma) / float(pipe.scheduler.init_noise_sigma)
        call["latents"] = torch.randn(1, 4, 8, 8, generator=generator) * scale
    if "denoising_start" in call:  # the noise that it is began with this generator
        torch.randn(1, 4, 8, 8, generator=generator)
    return np.asarray(pipe(**{"prompt": FROG.prompt, **call}, generator=generator).images[0])


def refiner_start(steps: int, sampler: str) -> dict[str, Any]:
    """Return what diffusers' refiner, which takes pictures only, draws from pure noise with."""
    sigma = grid(family_bundle("sdxl-refiner").schedule, steps, "trailing")[0]
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    scale = math.sqrt(1 + sigma * sigma) if sampler.startswith(SCALED) else 1.0
    return {"image": noise * scale, "denoising_start": 1e-6}  # all steps, and nothing added


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio of two pictures in dB."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def parity(
    family: str, sampler: str, steps: int = 4, guidance: float = 4.0, *, same_ends: bool = False
) -> float:
    """Return the PSNR of our picture and diffusers' in dB; `same_ends` for models that draw from words."""
    asked = {"steps": steps, "guidance": guidance, "sampler": sampler}
    asked["spacing"] = "lcm" if sampler == "lcm" else "trailing"
    call: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": guidance}
    channels = FAMILIES[family].unet.get("in_channels", 4)
    if channels == 9:
        return _inpainted(family, asked, call)
    if channels == 7:
        small = _saved(waves(8, 8), "small.png")
        ours = drawn(family, FROG, LowResPart(source=small, noise_level=20), **asked)
        theirs = stock(family, sampler, image=Image.open(small), noise_level=20, **call)
        return psnr(ours, theirs)
    if family == "sdxl-refiner":
        theirs = stock(family, sampler, **call, **refiner_start(steps, sampler))
        return psnr(drawn(family, FROG, **asked), theirs)
    text = FROG
    if family.endswith("zero-snr"):
        text = TextPart(prompt=FROG.prompt, guidance_rescale=RESCALED)
        call["guidance_rescale"] = RESCALED
    elif family not in TOLD_GUIDANCE:
        text = TextPart(prompt=FROG.prompt, guidance_rescale=0.0)
    theirs = stock(family, sampler, same_ends=same_ends, height=64, width=64, **call)
    return psnr(drawn(family, text, **asked), theirs)


def _inpainted(family: str, asked: dict[str, Any], call: dict[str, Any]) -> float:
    """Compare what the last latents decode to: ours goes back into the picture, theirs does not."""
    backend = family_bundle(family).backend
    pixels = np.asarray(waves(64, 64))
    mask = np.zeros((64, 64), np.uint8)
    mask[16:56, 8:48] = 255  # on whole latents: diffusers takes the nearest pixel, we the largest value
    scaled = pixels.astype(np.float32) / 127.5 - 1
    hidden = np.where(mask[..., None] > 0, np.float32(0), scaled)
    image = ImagePart(source=_saved(Image.fromarray(pixels), "image.png"), strength=1.0)
    parts = FROG, image, MaskPart(area="8,16,40x40")
    run, inputs = planned(family, *parts, **asked)
    events = draw(run, family_bundle(family), inputs=inputs)
    last = [one.step.x for one in events if isinstance(one, StepDone)][-1]
    ours = to_uint8(np.moveaxis(backend.decode(last)[0], 0, -1))
    large = FAMILIES[family].pools
    theirs = stock(
        family,
        asked["sampler"],
        diffusers.StableDiffusionXLInpaintPipeline if large else diffusers.StableDiffusionInpaintPipeline,
        image=backend.encode_image(np.moveaxis(scaled, -1, 0)[None]),
        mask_image=Image.fromarray(mask),
        masked_image_latents=backend.encode_image(np.moveaxis(hidden, -1, 0)[None]),
        strength=1.0,
        height=64,
        width=64,
        **call,
    )
    return psnr(ours, theirs)


def _saved(picture: Image.Image, name: str) -> str:
    path: Path = temporary_folder() / f"parity-{name}"
    picture.save(path)
    return str(path)


def table(families: Sequence[str], steps: int = 8) -> str:
    """Return the Markdown table of these families and every sampler."""
    samplers = [*SCHEDULERS]
    lines = [f"| family | {' | '.join(samplers)} |", "|---" * (len(samplers) + 1) + "|"]
    for family in families:
        for same_ends in (False, True) if family in PREDICT_V and family != "x4-upscaler" else (False,):
            row = [
                _shown(parity(family, sampler, steps, same_ends=same_ends))
                if _is_there(family, sampler)
                else ""
                for sampler in samplers
            ]
            lines.append(f"| {family}{', same ends' if same_ends else ''} | {' | '.join(row)} |")
    return "\n".join(lines)


def _is_there(family: str, sampler: str) -> bool:
    """Tell whether diffusers has it: its Heun knows no zero terminal SNR, and lcm has models of its own."""
    if sampler == "lcm":
        return family in TOLD_GUIDANCE
    return not (sampler == "heun" and family.endswith("zero-snr"))


def _shown(value: float) -> str:
    return "identical" if math.isinf(value) else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown, as always")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--others", action="store_true", help="hand-over to a refiner, and instructions, too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(table(arguments.families or tuple(FAMILIES), arguments.steps))
    if arguments.others:
        import refiner_parity  # they import this file
        import tiny_instructed

        print(f"\n{refiner_parity.table()}\n\n{tiny_instructed.table()}")


if __name__ == "__main__":
    main()
