"""A picture with stock diffusers, as its documentation shows it: a file of its own, run by its path.

It imports nothing of Sfumato, so that a fresh process pays for diffusers alone. Its one argument is a JSON
object: folder, prompt, steps, guidance, guidance_rescale, width, height, seed, output.
"""

import json
import sys
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline


def main() -> None:
    """Draw one picture and save it."""
    asked = json.loads(sys.argv[1])
    pipe: Any = StableDiffusionPipeline.from_pretrained(
        asked["folder"], local_files_only=True, safety_checker=None
    )
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    pipe.set_progress_bar_config(disable=True)
    image = pipe(
        asked["prompt"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        guidance_rescale=asked["guidance_rescale"],
        width=asked["width"],
        height=asked["height"],
        generator=torch.Generator("cpu").manual_seed(asked["seed"]),
    ).images[0]
    image.save(asked["output"])


if __name__ == "__main__":
    main()
