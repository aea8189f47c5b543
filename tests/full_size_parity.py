"""Pictures at full size beside those of stock diffusers: random weights, 256x256, few steps.

    PYTHONPATH=tests python -m full_size_parity sd15 sdxl-refiner --where FOLDER

Weights are written as one file of the original layout in float32 and mapped from there, and both programs
draw with the same networks in memory, so that Stable Diffusion XL takes 14 GB of disk, and little memory that
is not the file's. That loading is right is another measurement's business (`family_layouts`). Printed are the
PSNR in dB of the two pictures, the spread of ours (the standard deviation of its levels), and the PSNR that
unrelated pictures of this spread would have.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPTokenizer

from family_parity import SCALED, SCHEDULERS, psnr
from full_size_families import FULL, full
from load_times import write_configs
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.imaging.inputs import read_inputs
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.parts import ImagePart, Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.schedule import grid
from tiny_models import tiny_settings
from tiny_upscaler import waves
from written_families import write_single

SIDE, GUIDANCE, SEED = 256, 4.0, 7
ENOUGH = 1 << 36  # bytes
PROMPT = "a frog on a beach at night"
STRENGTH = 0.5  # of the refiner, with twice the steps


def drawn(bundle: ModelBundle, sampler: str, *parts: Part, steps: int) -> NDArray[np.uint8]:
    """Return our picture."""
    text = TextPart(prompt=PROMPT, guidance_rescale=0.0)
    size = {} if bundle.low_res is not None else {"width": SIDE, "height": SIDE}
    recipe = Recipe(
        seed=SEED,
        steps=steps,
        sampler=sampler,
        spacing="lcm" if sampler == "lcm" else "trailing",
        guidance=GUIDANCE,
        parts=(text, *parts),
        **size,
    )
    inputs = read_inputs(recipe, tiny_settings())
    run = resolve(recipe, bundle.defaults, sources=inputs.facts)
    events = draw(run, bundle, inputs=inputs)
    return next(event.pixels for event in events if isinstance(event, Picture))


def pipeline(bundle: ModelBundle, place: Path) -> Any:
    """Return diffusers' pipeline of the networks of `bundle`, with the configurations in `place`."""
    index = json.loads((place / "model_index.json").read_text())
    name = index["_class_name"].replace("LatentConsistencyModel", "StableDiffusion")
    backend: Any = bundle.backend
    scheduler = json.loads((place / "scheduler" / "scheduler_config.json").read_text())
    parts: dict[str, Any] = {"vae": backend.vae, "unet": backend.unet}
    parts["scheduler"] = getattr(diffusers, scheduler["_class_name"]).from_config(scheduler)
    names = [name for name in ("", "_2") if (place / f"tokenizer{name}").is_dir()]
    encoders = [one for one in (backend.text_encoder, backend.text_encoder_2) if one is not None]
    parts |= dict.fromkeys(("tokenizer_2", "text_encoder_2") if "XL" in name else ())
    if len(encoders) == 1 and "XL" in name:  # the refiner's lie in the second place
        parts |= {"tokenizer": None, "text_encoder": None, "requires_aesthetics_score": True}
        names, called = names, ("_2",)
    else:
        called = ("", "_2")
    for source, suffix, encoder in zip(names, called, encoders, strict=False):
        parts[f"tokenizer{suffix}"] = CLIPTokenizer.from_pretrained(place / f"tokenizer{source}")
        parts[f"text_encoder{suffix}"] = encoder
    if "XL" in name:
        parts["force_zeros_for_empty_prompt"] = index["force_zeros_for_empty_prompt"]
    elif "Upscale" in name:
        noise = json.loads((place / "low_res_scheduler" / "scheduler_config.json").read_text())
        parts["low_res_scheduler"] = diffusers.DDPMScheduler.from_config(noise)
    else:
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipe = getattr(diffusers, name)(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def compared(name: str, sampler: str, steps: int, where: Path | None) -> dict[str, Any]:
    """Return the figures of a family."""
    family, networks = full(name)
    with tempfile.TemporaryDirectory(dir=where) as folder:
        path, place = Path(folder) / "model.safetensors", Path(folder) / "configs"
        write_single(family, networks, path, "F32")
        write_configs(path, place)
        # Mapped weights need not all be in memory at once: nothing is to be refused, offloaded or packed.
        settings = replace(tiny_settings(), data_dir=Path(folder), offload="none", storage="whole")
        settings = replace(settings, max_memory=ENOUGH)
        bundle = load_bundle(str(path), settings)
        pipe = pipeline(bundle, place)
        # Without its list of defaults, which would undo what is changed.
        config = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
        config["set_alpha_to_one"] = True
        spacing = {} if sampler == "lcm" else {"timestep_spacing": "trailing"}
        pipe.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config({**config, **spacing})
        call, parts, asked = _asked(name, sampler, steps, bundle, pipe, Path(folder))
        started = time.perf_counter()
        with torch.no_grad():
            theirs = np.asarray(pipe(PROMPT, guidance_scale=GUIDANCE, **call).images[0])
        between = time.perf_counter()
        ours = drawn(bundle, sampler, *parts, steps=asked)
        done = time.perf_counter()
    spread = float(ours.std())
    return {
        "family": name,
        "sampler": sampler,
        "steps": steps,
        "psnr": psnr(ours, theirs),
        "spread": spread,
        "unrelated": 20 * math.log10(255 / (math.sqrt(2) * spread)),
        "size": ours.shape,
        "seconds": [round(done - between, 1), round(between - started, 1)],
    }


def _asked(
    name: str, sampler: str, steps: int, bundle: ModelBundle, pipe: Any, folder: Path
) -> tuple[dict[str, Any], tuple[Part, ...], int]:
    """Return what diffusers is asked for, the parts of our recipe, and its steps."""
    generator = torch.Generator("cpu").manual_seed(SEED)
    call: dict[str, Any] = {"num_inference_steps": steps, "generator": generator}
    if name == "x4-upscaler":
        waves(SIDE // 4, SIDE // 4).save(folder / "small.png")
        call |= {"image": Image.open(folder / "small.png"), "noise_level": 20}
        return call, (LowResPart(source=str(folder / "small.png"), noise_level=20),), steps
    if name == "sdxl-refiner":
        picture = waves(SIDE, SIDE)
        picture.save(folder / "image.png")
        scaled = np.moveaxis(np.asarray(picture).astype(np.float32) / 127.5 - 1, -1, 0)[None]
        call |= {"image": bundle.backend.encode_image(scaled), "strength": STRENGTH}
        call["num_inference_steps"] = round(steps / STRENGTH)
        part = ImagePart(source=str(folder / "image.png"), strength=STRENGTH)
        return call, (part,), round(steps / STRENGTH)
    call |= {"height": SIDE, "width": SIDE}
    if sampler.startswith(SCALED):  # from our beginning, see family_parity
        sigma = grid(bundle.schedule, steps, "trailing")[0]
        pipe.scheduler.set_timesteps(steps)
        scale = math.sqrt(1 + sigma * sigma) / float(pipe.scheduler.init_noise_sigma)
        call["latents"] = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=generator) * scale
    return call, (), steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("families", nargs="+", metavar="FAMILY", help=f"of {', '.join(FULL)}")
    parser.add_argument("--samplers", nargs="+", default=("dpmpp_2m",), choices=SCHEDULERS)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--where", type=Path, help="the folder to write models into")
    arguments = parser.parse_args()
    diffusers.logging.set_verbosity_error()
    for name in arguments.families:
        for sampler in arguments.samplers:
            print(json.dumps(compared(name, sampler, arguments.steps, arguments.where)), flush=True)


if __name__ == "__main__":
    main()
