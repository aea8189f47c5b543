"""The tiny-decoder stage: a small network learns what the autoencoder's decoder makes of cached latents."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DecoderTiny
from torch import Tensor, nn

from sfumato.errors import RecipeError
from sfumato.models.tiny_decoder import build_decoder, decoder_config
from sfumato.recipe.train import TinyDecoderStage
from sfumato.training.loop import Batch
from sfumato.training.objectives import edge_loss

#: The first predictions of a drawing are averages of many pictures, and guidance makes them larger than
#: latents are: on the bundled model their deviation falls from 1.7 to 1.1 over the first four of 20 steps.
LARGEST = 1.8


class TinyDecoderTask:
    """Match the pixels of `vae`'s decoder: mean absolute and squared error, plus edges.

    `latents (N,C,h,w)` are the cache; the last `stage.held_out` are never trained on. Raises `RecipeError`
    when none are left, or when the decoder would make pictures of another size than the autoencoder's.
    """

    def __init__(self, stage: TinyDecoderStage, seed: int, latents: Tensor, vae: AutoencoderKL) -> None:
        if stage.held_out >= len(latents):
            raise RecipeError("leaves no latents to learn from", field="task.held_out", value=stage.held_out)
        levels = len(vae.config["block_out_channels"])
        if len(stage.blocks) != levels:
            hint = f"The autoencoder has {levels} levels; give one count for each."
            raise RecipeError(
                "does not fit the autoencoder", field="task.blocks", value=list(stage.blocks), hint=hint
            )
        self._stage = stage
        self._seed = seed
        self._latents = latents[: len(latents) - stage.held_out]
        self._vae: Any = vae.requires_grad_(False).eval()

    def modules(self) -> dict[str, nn.Module]:
        net: Any = build(self._stage, self._latents.shape[1])
        # Half the time of a step on a processor, and the same numbers.
        return {"decoder": net.to(memory_format=torch.channels_last)}

    def batch(self, step: int, size: int) -> Batch:
        rng = np.random.default_rng([self._seed, step])
        first, second = torch.from_numpy(rng.integers(0, len(self._latents), (2, size)))
        clean = self._latents[first].float()
        share = torch.from_numpy(rng.uniform(0, 0.5, (size, 1, 1, 1)).astype(np.float32))
        scale = torch.from_numpy(rng.uniform(0.8, LARGEST, (size, 1, 1, 1)).astype(np.float32))
        blurred = torch.lerp(clean, self._latents[second].float(), share) * scale
        chosen = torch.from_numpy(rng.random((size, 1, 1, 1)) < self._stage.blurred)
        return {"latents": torch.where(chosen, blurred, clean)}

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        net = modules["decoder"]
        device = next(net.parameters()).device
        latents = batch["latents"].to(device).contiguous(memory_format=torch.channels_last)
        wanted = decoded(self._vae.to(device), latents)
        output = net(latents).float()
        absolute = (output - wanted).abs().mean()
        squared = ((output - wanted) ** 2).mean()
        edges = edge_loss(output, wanted)
        loss = absolute + self._stage.square_weight * squared + self._stage.edge_weight * edges
        return loss, {"psnr": float(10 * torch.log10(4 / squared.detach())), "edges": float(edges.detach())}


def build(stage: TinyDecoderStage, latent_channels: int) -> DecoderTiny:
    """A fresh decoder of the stage's shape, which begins with grey pictures: its last layer starts small."""
    net = build_decoder(decoder_config(latent_channels, stage.width, stage.blocks))
    last: Any = net.layers[-1]
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias.fill_(0.5)
    return net


@torch.no_grad()
def decoded(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """What `vae` makes of `latents (B,C,h,w)` of unit variance: pixels `(B,3,H,W)` in float32."""
    config: Any = vae.config
    shift = 0.0 if config.shift_factor is None else config.shift_factor
    network: Any = vae
    return network.decode(latents / config.scaling_factor + shift, return_dict=False)[0].float()


@torch.no_grad()
def fidelity(net: DecoderTiny, vae: AutoencoderKL, latents: Tensor) -> float:
    """The PSNR in dB of `net` against `vae` over `latents (N,C,h,w)`, from the mean squared error of all of
    their pixels clipped to [-1, 1]."""
    errors = [
        (net(part.float()).clamp(-1, 1) - decoded(vae, part.float()).clamp(-1, 1)).square().mean().item()
        for part in latents.split(1)
    ]
    return 10 * math.log10(4 / max(sum(errors) / len(errors), 1e-10))
