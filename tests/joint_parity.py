"""Pictures of tiny models with a transformer (Stable Diffusion 3) beside those of stock diffusers of the same
weights and the same noise.

As a program it prints the whole table: `python tests/joint_parity.py`.
"""

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from family_parity import psnr
from joint_models import KINDS, joint_bundle, joint_pipeline
from sfumato.engine.events import Event, Events, Picture
from sfumato.engine.run import draw
from sfumato.imaging.inputs import read_inputs
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import ImagePart, Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_settings

FROG = TextPart(prompt="a frog on a beach at night", negative="two red apples")
CAT = TextPart(prompt="a black cat riding a horse", negative="a frog")
SHORT: dict[str, Any] = {"steps": 3, "guidance": 4.0}
THEIRS: dict[str, Any] = {
    "prompt": FROG.prompt,
    "negative_prompt": FROG.negative,
    "num_inference_steps": 3,
    "guidance_scale": 4.0,
    "height": 64,
    "width": 64,
}


def events_of(name: str, *parts: Part, **fields: Any) -> Events:
    """Draw with seed 7."""
    bundle, settings = joint_bundle(name), tiny_settings()
    recipe = Recipe(seed=7, parts=parts, **{**SHORT, **fields})
    inputs = read_inputs(recipe, settings)
    return draw(resolve(recipe, bundle.defaults, sources=inputs.facts), bundle, inputs=inputs)


def picture(events: Iterable[Event]) -> NDArray[np.uint8]:
    """Return the first picture among events."""
    return next(one.pixels for one in events if isinstance(one, Picture))


def drawn(name: str, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    """Return the picture that we draw with seed 7."""
    return picture(events_of(name, *parts, **fields))


def stock(name: str, kind: str = "StableDiffusion3Pipeline", **call: Any) -> NDArray[np.uint8]:
    """Return the picture that diffusers draws with seed 7."""
    pipe = joint_pipeline(name, kind)
    generator = torch.Generator("cpu").manual_seed(7)
    return np.asarray(pipe(**{**THEIRS, **call}, generator=generator).images[0])


def encoded(name: str, path: Path) -> torch.Tensor:
    """Return the latents of a picture as diffusers scales them: the mean of what it draws them from."""
    vae = joint_pipeline(name).vae
    pixels = torch.tensor(np.asarray(Image.open(path)), dtype=torch.float32).movedim(-1, 0)[None]
    with torch.no_grad():
        mean = vae.encode(pixels / 127.5 - 1).latent_dist.mean
    return (mean - vae.config.shift_factor) * vae.config.scaling_factor


def noisy_picture(path: Path) -> Path:
    """Write a picture of 64x64 smooth random colours, and return its path."""
    pixels = np.random.default_rng(3).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR).save(path)
    return path


def parity(name: str, steps: int, shown: Path | None = None, strength: float = 0.5) -> float:
    """Return the PSNR of our picture and diffusers' in dB, from words or from the picture `shown`."""
    count = {"num_inference_steps": steps}
    if shown is None:
        return psnr(drawn(name, FROG, steps=steps), stock(name, **count))
    image = ImagePart(source=str(shown), strength=strength)
    call = {"image": encoded(name, shown), "strength": strength, **count}
    theirs = stock(name, "StableDiffusion3Img2ImgPipeline", **call)
    return psnr(drawn(name, FROG, image, steps=steps), theirs)


def table(folder: Path) -> str:
    """Return the Markdown table of every kind, at 8 steps."""
    shown = noisy_picture(folder / "shown.png")
    lines = ["| | from words | from a picture, strength 0.5 |", "|---|---|---|"]
    rows = (f"| {name} | {parity(name, 8):.1f} | {parity(name, 8, shown):.1f} |" for name in KINDS)
    return "\n".join([*lines, *rows])


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        print(table(Path(place)))
