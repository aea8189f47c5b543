"""Pictures that one tiny model begins and another ends, beside those of diffusers' two pipelines.

As a program it prints the whole table: `PYTHONPATH=tests python tests/refiner_parity.py`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from family_models import family_bundle
from family_parity import FROG, SCHEDULERS, drawn, pipeline, psnr
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Part
from sfumato.recipe.refining import RefinePart
from sfumato.recipe.resolve import resolve

SAMPLERS = ("ddim", "euler", "euler_a", "dpmpp_2m", "unipc")
NOTHING: Mapping[str, Any] = MappingProxyType({})
PAIRS = (("sdxl", "sdxl-refiner"), ("sdxl", "vega"), ("ssd-1b", "sdxl"))


def refined(base: str, refiner: str, start: float, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    """Return the picture that we draw with two tiny models, with seed 7."""
    bundle = replace(family_bundle(base), refiner=family_bundle(refiner))
    part = RefinePart(model=refiner, start=start)
    recipe = Recipe(seed=7, parts=(FROG, part, *parts), **{"spacing": "trailing", "guidance": 4.0, **fields})
    run = resolve(recipe, bundle.defaults, refiner=family_bundle(refiner).defaults)
    return next(event.pixels for event in draw(run, bundle) if isinstance(event, Picture))


def stock_refined(
    base: str,
    refiner: str,
    start: float,
    sampler: str,
    steps: int,
    after: int | None = None,
    both: Mapping[str, Any] = NOTHING,
    **told: Any,
) -> NDArray[np.uint8]:
    """Return the picture that diffusers draws with them: with `denoising_end`, and the same as
    `denoising_start`. What is handed over is what there is at the end or, with `after`, after so many calls
    of the first network. `both` goes to both pipelines, `told` to the refiner's.
    """
    first, second = _text_to_image(base), _image_to_image(refiner)
    for one in (first, second):
        config = one.scheduler.config
        one.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config(
            config, timestep_spacing="trailing"
        )
    generator = torch.Generator("cpu").manual_seed(7)
    seen: list[Any] = []

    def keep(_pipe: Any, _step: int, _t: Any, state: dict[str, Any]) -> dict[str, Any]:
        seen.append(state["latents"])
        return state

    common: dict[str, Any] = {
        "prompt": FROG.prompt,
        "generator": generator,
        "num_inference_steps": steps,
        "guidance_scale": 4.0,
        **both,
    }
    size = {"height": 64, "width": 64}
    first(denoising_end=start, output_type="latent", callback_on_step_end=keep, **size, **common)
    latents = seen[-1] if after is None else seen[after - 1]
    return np.asarray(second(image=latents, denoising_start=start, **told, **common).images[0])


def refiner_parity(base: str, refiner: str, sampler: str, start: float = 0.8, steps: int = 8) -> float:
    """Return the PSNR of our picture and diffusers' in dB."""
    ours = refined(base, refiner, start, steps=steps, sampler=sampler)
    return psnr(ours, stock_refined(base, refiner, start, sampler, steps))


def _text_to_image(family: str) -> Any:
    return pipeline(family)


def _image_to_image(family: str) -> Any:
    """Return the pipeline that takes latents; folders name it for the refiner alone."""
    pipe = pipeline(family)
    kind = diffusers.StableDiffusionXLImg2ImgPipeline
    if isinstance(pipe, kind):
        return pipe
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: Any = kind(
            **pipe.components, force_zeros_for_empty_prompt=pipe.config.force_zeros_for_empty_prompt
        )
    made.set_progress_bar_config(disable=True)
    return made


def table() -> str:
    """Return the Markdown table of every pair and sampler, at 10 steps and 0.8, and how far the pictures are
    from those without a refiner.
    """
    lines = [f"| | {' | '.join(SAMPLERS)} | without the refiner |", "|---" * (len(SAMPLERS) + 2) + "|"]
    for base, refiner in PAIRS:
        row = [f"{refiner_parity(base, refiner, sampler, 0.8, 10):.1f}" for sampler in SAMPLERS]
        plain = drawn(base, FROG, steps=10, guidance=4.0, sampler="euler", spacing="trailing")
        apart = psnr(plain, refined(base, refiner, 0.8, steps=10, sampler="euler"))
        lines.append(f"| {base}, then {refiner} | {' | '.join(row)} | {apart:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
