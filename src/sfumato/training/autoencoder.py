"""The autoencoder stage: scenes to latents and back, trained on random crops of freshly drawn scenes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from sfumato.errors import NumericalError
from sfumato.recipe.train import AutoencoderStage, SceneData
from sfumato.scenes import drawing, scene
from sfumato.training.loop import Batch
from sfumato.training.objectives import edge_loss, gaussian_kl


def scene_mix(data: SceneData) -> scene.SceneMix:
    """The recipe's data section as the scenes package takes it."""
    return scene.SceneMix(**data.model_dump(exclude={"size", "font"}))


def scene_font(data: SceneData) -> Path:
    """The emoji font that scenes are drawn with. Raises `InputError` when it is not there."""
    return drawing.find_font(None if data.font is None else Path(data.font))


def to_tensor(pictures: list[Image.Image]) -> Tensor:
    """RGB pictures of one size as `(B,3,H,W)` float32 in -1..1."""
    stacked = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


class AutoencoderTask:
    """Reconstruct crops: mean absolute and squared error, plus edges, plus a weak pull of the latents
    towards a unit Gaussian."""

    def __init__(self, stage: AutoencoderStage, data: SceneData, seed: int) -> None:
        self._stage = stage
        self._data = data
        self._seed = seed
        self._mix = scene_mix(data)
        self._font = scene_font(data)

    def modules(self) -> dict[str, nn.Module]:
        vae: Any = build(self._stage, self._data.size)
        with torch.no_grad():
            # Latents begin almost without noise, so that the decoder can read them from the first step.
            vae.quant_conv.bias[self._stage.latent_channels :] -= 6
        return {"vae": vae}

    def batch(self, step: int, size: int) -> Batch:
        side, per_scene = self._stage.crop, self._stage.crops_per_scene
        crops: list[Image.Image] = []
        first = step * size
        for index in range(first, first + size, per_scene):
            picture, _, _ = scene.example(self._seed, index, self._mix, self._font, self._data.size)
            rng = np.random.default_rng([self._seed, index, 1])
            for _ in range(min(per_scene, size - len(crops))):
                left, top = (int(v) for v in rng.integers(0, self._data.size - side + 1, 2))
                crops.append(picture.crop((left, top, left + side, top + side)))
        return {"pictures": to_tensor(crops)}

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        vae: Any = modules["vae"]
        pictures = batch["pictures"].to(next(vae.parameters()).device)
        moments = vae.quant_conv(vae.encoder(pictures)).float()
        mean, logvar = moments.chunk(2, dim=1)
        logvar = logvar.clamp(-30, 20)
        noise = torch.randn(mean.shape, generator=random).to(mean.device)
        output = vae.decoder(vae.post_quant_conv(mean + noise * (0.5 * logvar).exp())).float()
        absolute = (output - pictures).abs().mean()
        edges = edge_loss(output, pictures)
        squared = ((output - pictures) ** 2).mean()
        loss = absolute + self._stage.square_weight * squared + self._stage.edge_weight * edges
        loss = loss + self._stage.kl_weight * gaussian_kl(mean, logvar)
        return loss, {"psnr": float(10 * torch.log10(4 / squared.detach())), "edges": float(edges.detach())}


def build(stage: AutoencoderStage, size: int) -> AutoencoderKL:
    """A fresh `AutoencoderKL` of the stage's shape. Its full-resolution layers are narrow: most time is spent
    there."""
    levels = len(stage.channels)
    # diffusers annotates these as tuples of one.
    widths: Any = stage.channels
    down: Any = ("DownEncoderBlock2D",) * levels
    up: Any = ("UpDecoderBlock2D",) * levels
    return AutoencoderKL(
        down_block_types=down,
        up_block_types=up,
        block_out_channels=widths,
        layers_per_block=stage.layers,
        latent_channels=stage.latent_channels,
        norm_num_groups=stage.groups,
        sample_size=size,
        scaling_factor=1.0,
    )


@torch.no_grad()
def latent_mean(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """The mean latents `(B,C,h,w)` of `pictures (B,3,H,W)` in -1..1, on the device of `vae`."""
    encoded: Any = vae.encode(pictures.to(next(vae.parameters()).device))
    return encoded.latent_dist.mean


@torch.no_grad()
def normalise(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Make latents zero-mean and unit-variance per channel by folding the scale into the 1x1 convolutions
    around them.

    `pictures (B,3,H,W)` are what the statistics are measured on. Decoding stays what it was; the model then
    needs no per-channel numbers beside its weights (`scaling_factor` 1), so every program that reads the
    folder gets it right. Raises `NumericalError` when a channel carries nothing.
    """
    latents = torch.cat([latent_mean(vae, chunk) for chunk in pictures.split(32)])
    mean = latents.mean(dim=(0, 2, 3))
    deviation = latents.std(dim=(0, 2, 3))
    if not bool((deviation > 0).all()):
        dead = [i for i, value in enumerate(deviation.tolist()) if not value > 0]
        hint = "Train with fewer `latent_channels`, or a lower `kl_weight`."
        raise NumericalError("latent channels carry nothing", field="autoencoder", value=dead, hint=hint)
    encode: Any = vae.quant_conv
    decode: Any = vae.post_quant_conv
    channels = mean.numel()
    decode.bias += (decode.weight[:, :, 0, 0] * mean).sum(dim=1)
    decode.weight *= deviation[None, :, None, None]
    encode.weight[:channels] /= deviation[:, None, None, None]
    encode.bias[:channels] = (encode.bias[:channels] - mean) / deviation
    encode.bias[channels:] -= 2 * deviation.log()  # the second half holds log-variances
