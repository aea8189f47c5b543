"""The diffusion stage: UNet and text encoder learn together to denoise cached latents of captioned scenes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextModel

from sfumato.errors import InputError, ModelFileError
from sfumato.recipe.train import DiffusionStage
from sfumato.samplers.schedule import Schedule, add_noise
from sfumato.scenes import scene
from sfumato.scenes import vocabulary as words
from sfumato.training.latents import LatentCache
from sfumato.training.loop import Batch
from sfumato.training.objectives import denoising_loss
from sfumato.training.text import CaptionEncoder

#: The bundled model's scheduler_config.json: Stable Diffusion's betas with zero terminal SNR, so that
#: drawing starts from what training ended with, pure noise.
SCHEDULER: dict[str, Any] = {
    "_class_name": "DDIMScheduler",
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,  # no part in trailing spacing; diffusers warns of any other number
}


def build_unet(
    stage: DiffusionStage, latent_channels: int, side: int, text_width: int
) -> UNet2DConditionModel:
    """A fresh `UNet2DConditionModel`: latents `(B,C,side,side)`, cross-attention of `text_width` where
    `stage.attention` says."""
    down = tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in stage.attention)
    up = tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(stage.attention))
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=stage.channels,
        down_block_types=down,
        up_block_types=up,
        layers_per_block=stage.layers,
        cross_attention_dim=text_width,
        attention_head_dim=stage.heads,
        norm_num_groups=stage.groups,
        use_linear_projection=True,
    )


def load_text_encoder(folder: Path) -> CLIPTextModel:
    """The text encoder in `folder` (a text run's, or a model's), in float32. Raises `ModelFileError`."""
    try:
        return CLIPTextModel.from_pretrained(folder, use_safetensors=True, local_files_only=True).float()
    except (OSError, SafetensorError, ValueError) as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, why: Exception) -> ModelFileError:
    """The error for a network of an earlier stage that is damaged."""
    hint = "Run the recipe that makes it again."
    return ModelFileError(f"the network cannot be read: {why}", field="task", value=str(folder), hint=hint)


def load_unet(folder: Path) -> UNet2DConditionModel:
    """Return the UNet in `folder`, in float32. Raises ModelFileError for one that cannot be read."""
    try:
        unet = UNet2DConditionModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except (OSError, SafetensorError, ValueError) as error:
        raise unreadable(folder, error) from error
    return unet.float()


@dataclass(frozen=True)
class Origin:
    """What the networks begin as: the text encoder in the folder `text` and a fresh UNet for latents of
    `latent_channels` and `side`, or those of a finished `model` folder."""

    stage: DiffusionStage
    seed: int
    text: Path
    latent_channels: int
    side: int
    model: Path | None

    def networks(self) -> dict[str, nn.Module]:
        """Fresh copies, the same every time; seeds torch's global generator."""
        torch.manual_seed(self.seed)
        if self.model is not None:
            unet = load_unet(self.model / "unet")
            return {"unet": unet, "text_encoder": load_text_encoder(self.model / "text_encoder")}
        encoder = load_text_encoder(self.text)
        width = int(encoder.config.hidden_size)
        return {
            "unet": build_unet(self.stage, self.latent_channels, self.side, width),
            "text_encoder": encoder,
        }


class DiffusionTask:
    """Denoise: `text_encoder` and `unet` are trained, captions are phrased anew each time and dropped at a
    rate for guidance. A share `stage.averaged` of the hybrids is told by the average of two encoded
    captions, weighted by their objects' shares, as the engine mixes prompts.

    The first `stage.single_first` of `steps` see single objects only; raises `InputError` when the cache
    has none.
    """

    def __init__(self, origin: Origin, steps: int, cache: LatentCache, captions: CaptionEncoder) -> None:
        self._origin = origin
        self._stage = origin.stage
        self._seed = origin.seed
        self._cache = cache
        self._captions = captions
        schedule = Schedule.from_diffusers_config(SCHEDULER)
        self._alphas = torch.from_numpy(np.array(schedule.alphas_cumprod))
        singles = [i for i, shown in enumerate(cache.scenes) if len(shown.objects) == 1 and shown.count == 1]
        self._singles = np.array(singles)
        self._single_steps = int(self._stage.single_first * steps)
        if self._single_steps and not singles:
            raise InputError("the latents hold no single objects", field="task.single_first")

    def modules(self) -> dict[str, nn.Module]:
        return self._origin.networks()

    def _indices(self, step: int, size: int) -> np.ndarray:
        """Which cached latents step `step` sees: a new random order each time the cache has been gone
        through."""
        single = step < self._single_steps
        pool = self._singles if single else np.arange(len(self._cache.scenes))
        begin = (step if single else step - self._single_steps) * size
        positions = np.arange(begin, begin + size)
        chosen = np.empty(size, dtype=np.int64)
        for epoch in np.unique(positions // len(pool)):
            order = np.random.default_rng([self._seed, int(epoch), int(single)]).permutation(len(pool))
            here = positions // len(pool) == epoch
            chosen[here] = pool[order[positions[here] % len(pool)]]
        return chosen

    def batch(self, step: int, size: int) -> Batch:
        rng = np.random.default_rng([self._seed, step, 2])
        indices = self._indices(step, size)
        texts: list[str] = []
        others: list[str] = []
        rows: list[int] = []
        shares: list[float] = []
        for row, i in enumerate(indices):
            shown = self._cache.scenes[i]
            if rng.random() < self._stage.caption_dropout:
                texts.append("")
            elif shown.relation == words.MIXED and rng.random() < self._stage.averaged:
                # Phrased alike: what differs is the object.
                phrasing = int(rng.integers(2**32))
                alone = [replace(shown, objects=(name,), relation=None) for name in shown.objects]
                mine, other = (scene.caption(one, np.random.default_rng(phrasing)) for one in alone)
                texts.append(mine)
                others.append(other)
                rows.append(row)
                shares.append(shown.share)
            else:
                texts.append(scene.caption(shown, rng))
        return {
            "latents": self._cache.latents[torch.from_numpy(indices)].float(),
            "ids": self._captions([*texts, *others]),
            "averaged": torch.tensor(rows, dtype=torch.int64),
            "shares": torch.tensor(shares, dtype=torch.float32),
        }

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        unet: Any = modules["unet"]
        text_encoder: Any = modules["text_encoder"]
        device = next(unet.parameters()).device
        clean = batch["latents"].to(device)
        count = len(clean)
        # One timestep from each of `count` equal slices of the schedule: the same distribution, and steps
        # that differ less.
        spread = (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count
        t = (spread * len(self._alphas)).long().clamp(max=len(self._alphas) - 1)
        alpha_bar = self._alphas[t].to(device)
        noise = torch.randn(clean.shape, generator=random).to(device)
        context = text_encoder(input_ids=batch["ids"].to(device)).last_hidden_state
        if len(batch["averaged"]):
            rows, shares = batch["averaged"].to(device), batch["shares"].to(device)[:, None, None]
            mine, others = context[:count], context[count:]
            context = mine.index_copy(0, rows, shares * mine[rows] + (1 - shares) * others)
        output = unet(
            add_noise(clean, noise, alpha_bar), t.to(device), encoder_hidden_states=context
        ).sample.float()
        return denoising_loss(
            output, clean, noise, alpha_bar, "v", self._stage.min_snr_gamma, self._stage.weight_floor
        ), {}
