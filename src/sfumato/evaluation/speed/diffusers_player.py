"""A worker's player for stock diffusers: a pipeline as its documentation builds one, or the bare networks.

Default settings, eager, on the processor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers.models.clip.modeling_clip import CLIPTextModel

from sfumato.evaluation.speed.turns import Job, Task, Turn

MIDDLE = 500  # a timestep
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class DiffusersPlayer:
    """`pipe` is None where the networks alone were asked for. Typed as Any: diffusers fills its classes in at
    run time.
    """

    job: Job
    unet: Any
    vae: Any
    text_encoder: Any
    pipe: Any

    def task(self, turn: Turn) -> Task:
        dtype, config = DTYPES[self.job.precision], self.unet.config
        tokens, words = (
            self.text_encoder.config.max_position_embeddings,
            self.text_encoder.config.vocab_size,
        )
        generator = torch.Generator("cpu").manual_seed(0)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator).to(dtype)

        def without_gradients(call: Task) -> Task:
            def quiet() -> object:
                with torch.no_grad():
                    return call()

            return quiet

        if turn.task == "pictures" and self.pipe is not None:
            return self._pictures(turn.batch)
        if turn.task == "encode":
            ids = torch.randint(0, words, (2, tokens), generator=generator)
            return without_gradients(lambda: self.text_encoder(ids)[0])
        if turn.task == "decode":
            latents = normal(turn.batch, config.in_channels, turn.height, turn.width)
            factor = self.vae.config.scaling_factor
            return without_gradients(lambda: self.vae.decode(latents / factor, return_dict=False)[0])
        if turn.task == "step":
            x = normal(2 * turn.batch, config.in_channels, turn.height, turn.width)
            context = normal(2 * turn.batch, tokens, config.cross_attention_dim)
            time = torch.tensor(MIDDLE)

            def step() -> object:
                output = self.unet(x, time, encoder_hidden_states=context, return_dict=False)[0]
                without, with_text = output.chunk(2)
                return without + self.job.guidance * (with_text - without)

            return without_gradients(step)
        raise ValueError(f"there is no task {turn.task}")

    def _pictures(self, count: int) -> Task:
        job = self.job

        def pictures() -> object:
            return self.pipe(
                job.prompt,
                num_images_per_prompt=count,
                num_inference_steps=job.steps,
                guidance_scale=job.guidance,
                guidance_rescale=job.guidance_rescale,
                width=job.width,
                height=job.height,
                generator=torch.Generator("cpu").manual_seed(job.seed),
            ).images

        return pictures


def load_diffusers(job: Job) -> DiffusersPlayer:
    """Load the folder of a job as diffusers does."""
    dtype = DTYPES[job.precision]
    if not job.whole:
        folder = Path(job.folder)
        return DiffusersPlayer(
            job,
            unet=UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=dtype),
            vae=AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=dtype),
            text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=dtype),
            pipe=None,
        )
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipe: Any = StableDiffusionPipeline.from_pretrained(
        job.folder, local_files_only=True, safety_checker=None
    ).to(dtype)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    pipe.set_progress_bar_config(disable=True)
    return DiffusersPlayer(job, pipe.unet, pipe.vae, pipe.text_encoder, pipe)
