"""The ControlNet stage: the down half of a UNet learns to steer that UNet by the outlines of a scene.

Zhang et al. 2023, arXiv 2302.05543.

The UNet and the text encoder stay as they are. Hints are the Canny edges of the scenes whose latents are
learnt from: scenes are pure functions of their numbers, so they are drawn again, once each, and their edges
are kept in memory as bits.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from sfumato.errors import RecipeError
from sfumato.imaging.annotators import edges
from sfumato.recipe.train import ControlNetStage, SceneData
from sfumato.samplers.schedule import Schedule, add_noise
from sfumato.scenes import scene
from sfumato.training.autoencoder import scene_font, scene_mix
from sfumato.training.diffusion import SCHEDULER, load_text_encoder, load_unet, unreadable
from sfumato.training.latents import LatentCache
from sfumato.training.loop import Batch
from sfumato.training.objectives import denoising_loss
from sfumato.training.text import CaptionEncoder

_CHECKED = 64  # scenes that are compared with those of the cache before anything is learnt
_SEEN_FIRST = 16  # outlines that set the scale of what sees hints

_CARD = """---
license: apache-2.0
library_name: diffusers
tags:
- controlnet
- sfumato
---

# A ControlNet of outlines

## What it is for

It has the model that it was trained with follow given outlines: white lines on black, thin or three pixels
wide, of the size that is drawn. A prompt says what is there, the outlines say where. Canny edges of a picture
serve as well. `diffusers.ControlNetModel.from_pretrained` loads this folder.

## How it was trained

With `sfumato train` and a recipe of the stage `controlnet`, as `recipes/train/edges.toml`: on Canny edges of
scenes that `sfumato.scenes` draws itself. No photograph and no other model's weights were used. It has
{parameters:,} parameters in float16, and began with the weights of the model's own UNet, which stayed as it
is.

## Limits

It was trained with outlines of {size}x{size} pixels. Where outlines and prompt contradict each other, either
may win. It fits models with the same UNet and autoencoder only.

## Licence

Apache-2.0.
"""


class Outlines:
    """The edges of the scenes of a latent cache, numbers `stage.latents_first` on of their stream.

    Raises `RecipeError` when the recipe's data section and `stage.latents_seed` give other scenes than the
    cache holds, and `InputError` without the emoji font.
    """

    def __init__(self, stage: ControlNetStage, data: SceneData, cache: LatentCache) -> None:
        self._seed = stage.latents_seed
        self._first = stage.latents_first
        self._size = data.size
        self._mix = scene_mix(data)
        self._font = scene_font(data)
        count = len(cache.scenes)
        for at in np.unique(np.linspace(0, count - 1, min(count, _CHECKED)).astype(int)):
            drawn = scene.sample(scene.stream_rng(self._seed, self._first + int(at)), self._mix)
            if drawn != cache.scenes[at]:
                raise RecipeError(
                    "does not give the scenes of these latents",
                    field="task.latents_seed",
                    value=self._seed,
                    hint="Give latents_seed, latents_first and [data] as in the recipe of the latents.",
                )
        self._known = np.zeros(count, np.bool_)
        self._bits = np.zeros((count, -(-(data.size**2) // 8)), np.uint8)

    def __getitem__(self, index: int) -> NDArray[np.bool_]:
        """The edges `(H,W)` of the scene of latent `index`."""
        if not self._known[index]:
            picture, _, _ = scene.example(self._seed, self._first + index, self._mix, self._font, self._size)
            self._bits[index] = np.packbits(edges(np.asarray(picture)).ravel())
            self._known[index] = True
        whole = np.unpackbits(self._bits[index], count=self._size**2)
        return whole.astype(np.bool_).reshape(self._size, self._size)


class ControlNetTask:
    """Denoise with a hint: `controlnet` is trained, what it steers is frozen. Captions are phrased anew each
    time and dropped at a rate, so that outlines have to say by themselves what is in a picture.

    `model` is the folder of a finished diffusion run, `begin` that of a ControlNet to begin with. Raises
    `RecipeError` for hints that do not come out at the size of the latents, `ModelFileError` for a model that
    cannot be read, and what `Outlines` raises.
    """

    def __init__(
        self,
        stage: ControlNetStage,
        data: SceneData,
        seed: int,
        model: Path,
        cache: LatentCache,
        begin: Path | None = None,
    ) -> None:
        halved = len(stage.hint_channels) - 1
        side = cache.latents.shape[2]
        if data.size != side * 2**halved:
            levels = (data.size // side).bit_length()
            hint = f"Pictures are {data.size // side} times as large as latents: give {levels} widths."
            value = list(stage.hint_channels)
            raise RecipeError("does not fit the latents", field="task.hint_channels", value=value, hint=hint)
        self._stage = stage
        self._seed = seed
        self._cache = cache
        self._begin = begin
        self._factor = 2**halved
        self._outlines = Outlines(stage, data, cache)
        self._captions = CaptionEncoder(model / "tokenizer")
        self._unet: Any = load_unet(model / "unet").requires_grad_(False).eval()
        self._text_encoder: Any = load_text_encoder(model / "text_encoder").requires_grad_(False).eval()
        schedule = Schedule.from_diffusers_config(SCHEDULER)
        self._alphas = torch.from_numpy(np.array(schedule.alphas_cumprod))

    def modules(self) -> dict[str, nn.Module]:
        torch.manual_seed(self._seed)
        if self._begin is not None:
            return {"controlnet": load_controlnet(self._begin)}
        net = build(self._stage, self._unet)
        count = min(len(self._cache.scenes), _SEEN_FIRST)
        awaken(net, _as_hints([self._outlines[index] for index in range(count)]))
        return {"controlnet": net}

    def batch(self, step: int, size: int) -> Batch:
        rng = np.random.default_rng([self._seed, step])
        indices = rng.integers(0, len(self._cache.scenes), size)
        texts = [
            "" if rng.random() < self._stage.caption_dropout else scene.caption(self._cache.scenes[i], rng)
            for i in indices
        ]
        factor = self._factor
        clean: list[Tensor] = []
        hints: list[NDArray[np.bool_]] = []
        for index in indices:
            rows, columns = self._moved(rng), self._moved(rng)
            clean.append(self._cache.latents[int(index)][:, rows][:, :, columns].float())
            outline = self._outlines[int(index)][_in_pixels(rows, factor)][:, _in_pixels(columns, factor)]
            hints.append(self._varied(outline, rng))
        return {
            "latents": torch.stack(clean),
            "ids": self._captions(texts),
            "hints": _as_hints(hints),
        }

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        net: Any = modules["controlnet"]
        device = next(net.parameters()).device
        unet, text_encoder = self._unet.to(device), self._text_encoder.to(device)
        clean = batch["latents"].to(device)
        count = len(clean)
        # One timestep from each of `count` equal slices of the schedule, as the UNet was trained.
        spread = (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count
        t = (spread * len(self._alphas)).long().clamp(max=len(self._alphas) - 1)
        alpha_bar = self._alphas[t].to(device)
        noise = torch.randn(clean.shape, generator=random).to(device)
        noisy, t = add_noise(clean, noise, alpha_bar), t.to(device)
        context = text_encoder(input_ids=batch["ids"].to(device)).last_hidden_state
        down, mid = net(noisy, t, context, batch["hints"].to(device), return_dict=False)
        output = unet(
            noisy,
            t,
            encoder_hidden_states=context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample.float()
        stage = self._stage
        return denoising_loss(
            output, clean, noise, alpha_bar, "v", stage.min_snr_gamma, stage.weight_floor
        ), {}

    def _moved(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Which row (or column) of a scene's latents comes at each place, so that it is moved, or is not.

        What is next to the border goes on where nothing is left. The border stays: its latents are of a kind
        of their own, and drawn elsewhere they show.
        """
        side = self._cache.latents.shape[2]
        most = max(1, side // 5)
        by = int(rng.integers(-most, most + 1)) if rng.random() < self._stage.shifted else 0
        return np.concatenate([[0], (np.arange(1, side - 1) - by).clip(1, side - 2), [side - 1]])

    def _varied(self, outline: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """`outline` as people may draw it: sometimes only in one place, sometimes with thick lines."""
        if rng.random() < self._stage.partial:
            outline = outline & _window(outline.shape[0], rng)
        return _thick(outline) if rng.random() < self._stage.thick else outline


def build(stage: ControlNetStage, unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that begins with the weights of `unet` and gives nothing yet.

    Without `stage.middle_attention` its middle is one layer, which saves a third of the weights.
    """
    made: Any = ControlNetModel.from_unet(
        unet, load_weights_from_unet=False, conditioning_embedding_out_channels=stage.hint_channels
    )
    if not stage.middle_attention:
        made = ControlNetModel.from_config({**made.config, "mid_block_type": "UNetMidBlock2D"})
    own = made.state_dict()
    made.load_state_dict({**own, **{name: w for name, w in unet.state_dict().items() if name in own}})
    return made


def load_controlnet(folder: Path) -> ControlNetModel:
    """Return the ControlNet in `folder`, in float32. Raises ModelFileError for one that cannot be read."""
    try:
        net = ControlNetModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except (OSError, SafetensorError, ValueError) as error:
        raise unreadable(folder, error) from error
    return net.float()


def card(net: ControlNetModel, size: int) -> str:
    """The model card (Markdown) of a trained ControlNet, for pictures of `size` pixels a side."""
    return _CARD.format(parameters=sum(weight.numel() for weight in net.parameters()), size=size)


@torch.no_grad()
def awaken(net: ControlNetModel, hints: Tensor) -> None:
    """Scale the layers that see `hints (B,3,H,W)` so that every channel they make has mean 0 and variance 1
    before its activation, and what they add to the first convolution is as large as that one makes latents
    of unit variance.

    Lines are few and thin: with the usual initial weights, hardly anything of them is left after four layers,
    and the last is zero. The same idea as of Mishkin and Matas 2016, "All you need is a good init" (arXiv
    1511.06422). Nothing comes out of the network yet, whatever it sees: its last convolutions stay zero.
    """
    parts: Any = net
    seer = parts.controlnet_cond_embedding
    seer.conv_out.reset_parameters()
    noise = torch.randn(len(hints), net.config["in_channels"], 16, 16)
    h = hints
    for layer in (seer.conv_in, *seer.blocks, seer.conv_out):
        wanted = parts.conv_in(noise).std() if layer is seer.conv_out else 1.0
        made = layer(h)
        scale = wanted / made.std(dim=(0, 2, 3)).clamp(min=1e-6)
        layer.bias.sub_(made.mean(dim=(0, 2, 3))).mul_(scale)
        layer.weight.mul_(scale[:, None, None, None])
        h = functional.silu(layer(h))


def _as_hints(outlines: list[NDArray[np.bool_]]) -> Tensor:
    """Outlines `(H,W)` as hints `(B,3,H,W)`: white lines on black, in 0..1."""
    return torch.from_numpy(np.stack(outlines)).float()[:, None].repeat(1, 3, 1, 1)


def _in_pixels(places: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    """The pixels of latents at `places`, of `factor` pixels each."""
    return (places[:, None] * factor + np.arange(factor)).ravel()


def _window(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A rectangle `(size,size)` at a random place, with sides of a third of `size` or more."""
    height, width = (int(side) for side in rng.integers(size // 3, size + 1, 2))
    top, left = (int(rng.integers(0, size - side + 1)) for side in (height, width))
    inside = np.zeros((size, size), np.bool_)
    inside[top : top + height, left : left + width] = True
    return inside


def _thick(outline: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`outline (H,W)` with lines of three pixels."""
    height, width = outline.shape
    wide = np.pad(outline, 1)
    return np.logical_or.reduce([wide[y : y + height, x : x + width] for y in range(3) for x in range(3)])
