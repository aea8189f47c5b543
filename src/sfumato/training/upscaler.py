"""The upscaler stage: scenes drawn at four times their size are what their small versions should become.

What people upscale is what the bundled model drew, and that has been through its autoencoder. So a part of
the small pictures goes through an autoencoder too, and a part is a little blurred, noisy, or saved as JPEG.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter
from torch import Tensor, nn

from sfumato.errors import RecipeError
from sfumato.imaging.resize import lanczos
from sfumato.models.upscaler_net import UpscalerNet
from sfumato.models.upscalers import FACTOR, UpscalerShape
from sfumato.recipe.train import SceneData, UpscalerStage
from sfumato.scenes import drawing, scene
from sfumato.training.autoencoder import latent_mean, scene_font, scene_mix, to_tensor
from sfumato.training.loop import Batch

SMOOTH = 2e-3  # where Charbonnier's loss turns from absolute to squared: a quarter of a level of 255
SHRINKING = (Image.Resampling.BOX, Image.Resampling.LANCZOS, Image.Resampling.BICUBIC)
CANDIDATES = 3  # crops to choose one from: most of a scene is even, and nothing is to be learned there
BEST_PSNR = 60.0  # of pictures without any difference, so that means stay finite
OTHER_STREAM = 10_000  # added to the seed: scenes that no step of the run has seen


class UpscalerTask:
    """Find the large crop of which a small one is left: Charbonnier's loss (Lai et al. 2017, arXiv
    1704.03915, Equation 5) over all pixels.

    Raises `RecipeError` when scenes of `data.size` do not fit `vae`, whose round trip makes some inputs.
    """

    def __init__(self, stage: UpscalerStage, data: SceneData, seed: int, vae: AutoencoderKL) -> None:
        downsample = 2 ** (len(vae.config["block_out_channels"]) - 1)
        if data.size % downsample:
            hint = f"The autoencoder needs a multiple of {downsample}."
            raise RecipeError("does not fit the autoencoder", field="data.size", value=data.size, hint=hint)
        self._stage = stage
        self._data = data
        self._seed = seed
        self._mix = scene_mix(data)
        self._font = scene_font(data)
        self._vae = vae.requires_grad_(False).eval()
        self._pairs: dict[int, Pair] = {}

    def modules(self) -> dict[str, nn.Module]:
        net: Any = UpscalerNet(shape_of(self._stage))
        return {"upscaler": net.to(memory_format=torch.channels_last)}

    def batch(self, step: int, size: int) -> Batch:
        rng = np.random.default_rng([self._seed, step, 4])
        # Crops of one scene are too much alike: each comes from another one.
        chosen = rng.integers(0, self._stage.scenes, size)
        crops = [crop_of(self._pair(int(index)), self._stage.crop, rng) for index in chosen]
        return {
            "small": to_tensor([crop.small for crop in crops]),
            "large": to_tensor([crop.large for crop in crops]),
        }

    def _pair(self, index: int) -> "Pair":
        """Scene `index`, drawn when it is first asked for and kept: drawing takes as long as a step."""
        if index not in self._pairs:
            large = large_scene(self._seed, index, self._mix, self._font, self._data.size)
            rng = np.random.default_rng([self._seed, index, 5])
            self._pairs[index] = Pair.of(large, self._input(large, rng))
        return self._pairs[index]

    def _input(self, large: Image.Image, rng: Generator) -> Image.Image:
        small = shrunk(large, SHRINKING[int(rng.integers(len(SHRINKING)))])
        kind = rng.random()
        if kind < self._stage.decoded:
            return round_trip(small, self._vae)
        return degraded(small, rng) if kind < self._stage.decoded + self._stage.degraded else small

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        net = modules["upscaler"]
        device = next(net.parameters()).device
        small = batch["small"].to(device).contiguous(memory_format=torch.channels_last)
        wanted = batch["large"].to(device)
        squares = (net(small).float() - wanted) ** 2
        psnr = float(10 * torch.log10(4 / squares.detach().mean()))
        return (squares + SMOOTH**2).sqrt().mean(), {"psnr": psnr}


@dataclass(frozen=True, eq=False)
class Pair:
    """A large picture and what it is learned from: its `small` one, of which `missing (h,w)` says how much of
    the large one is not in the small one's enlargement."""

    large: Image.Image
    small: Image.Image
    missing: NDArray[np.float32]

    @classmethod
    def of(cls, large: Image.Image, small: Image.Image) -> "Pair":
        enlarged = small.resize(large.size, Image.Resampling.BICUBIC)
        missing = ImageChops.difference(large, enlarged).convert("L").reduce(FACTOR)
        return cls(large, small, np.asarray(missing, np.float32))


@dataclass(frozen=True, eq=False)
class Crop:
    """A square of a small picture, and the same square of the large one."""

    small: Image.Image
    large: Image.Image


def shape_of(stage: UpscalerStage) -> UpscalerShape:
    """The network's shape as the recipe says it."""
    return UpscalerShape(stage.width, stage.blocks)


# --- pictures ---------------------------------------------------------------------------------------------


def large_scene(seed: int, index: int, mix: scene.SceneMix, font: Path, size: int) -> Image.Image:
    """Example `index` of a stream at `FACTOR * size` pixels a side: what it is at `size`, with all that is
    lost there."""
    rng = scene.stream_rng(seed, index)
    shown = scene.sample(rng, mix)
    picture = scene.render(replace(shown, style="plain"), rng, font, FACTOR * size)
    return styled(picture, shown.style, rng)


def styled(picture: Image.Image, style: str, rng: Generator) -> Image.Image:
    """A large `picture` in `style`, as the small one in that style should look when it is enlarged.

    Brushes and the squares of pixel art are a number of pixels wide whatever the picture's size, so these two
    are drawn small: squares are enlarged as squares, and between enlarged brush strokes the detail of the
    large picture is put back.
    """
    if style not in ("pixel art", "oil painting"):
        return drawing.in_style(picture, style, rng)
    small = picture.reduce(FACTOR)
    drawn = drawing.in_style(small, style, rng)
    if style == "pixel art":
        return drawn.resize(picture.size, Image.Resampling.NEAREST)
    strokes, plain = (
        np.asarray(one.resize(picture.size, Image.Resampling.BICUBIC), np.float32) for one in (drawn, small)
    )
    pixels = strokes + np.asarray(picture, np.float32) - plain
    return Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))


def shrunk(large: Image.Image, how: Image.Resampling) -> Image.Image:
    """A large picture at its small size."""
    return large.resize((large.width // FACTOR, large.height // FACTOR), how)


def degraded(small: Image.Image, rng: Generator) -> Image.Image:
    """`small`, a little blurred or noisy or both, and in half of the cases saved as JPEG."""
    if rng.random() < 0.5:
        small = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    if rng.random() < 0.5:
        pixels = np.asarray(small, np.float32)
        pixels = pixels + rng.normal(0, rng.uniform(0.5, 5), pixels.shape)
        small = Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))
    if rng.random() < 0.5:
        saved = BytesIO()
        small.save(saved, "JPEG", quality=int(rng.integers(60, 96)), subsampling=int(rng.integers(0, 3)))
        with Image.open(saved) as image:
            small = image.convert("RGB")
    return small


@torch.no_grad()
def round_trip(small: Image.Image, vae: AutoencoderKL) -> Image.Image:
    """`small` through the autoencoder and back: as soft as what a model of its latents draws."""
    network: Any = vae
    pixels = network.decode(latent_mean(vae, to_tensor([small])), return_dict=False)[0][0]
    levels = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())


def crop_of(pair: Pair, side: int, rng: Generator) -> Crop:
    """Of `CANDIDATES` random crops, `side` pixels of the small picture large, that where most is missing."""
    width, height = pair.small.size
    corners = rng.integers(0, (width - side + 1, height - side + 1), (CANDIDATES, 2))
    sums = [pair.missing[top : top + side, left : left + side].sum() for left, top in corners]
    left, top = (int(value) for value in corners[int(np.argmax(sums))])
    box = (left, top, left + side, top + side)
    scaled = (FACTOR * left, FACTOR * top, FACTOR * (left + side), FACTOR * (top + side))
    return Crop(pair.small.crop(box), pair.large.crop(scaled))


# --- figures ----------------------------------------------------------------------------------------------


@torch.no_grad()
def enlarged_by(net: nn.Module, small: Image.Image) -> Image.Image:
    """What the network makes of one small picture, in bytes as it would be saved."""
    levels = ((net(to_tensor([small]))[0].clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).numpy())


def score(
    net: nn.Module, vae: AutoencoderKL, data: SceneData, seed: int, count: int
) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB over `count` scenes of another stream than the run's, of the network's pictures and of
    Lanczos' (Pillow), both against the scene drawn large.

    Rows are kinds of inputs: `area` (means of 4x4 pixels) and `lanczos` are clean, `decoded` went through
    `vae`; and of the clean `area` inputs by their scene's style ("plain": without one). Each row has
    `learned`, `lanczos` and `scenes`.
    """
    mix, font = scene_mix(data), scene_font(data)
    found: dict[str, list[tuple[float, float]]] = {}
    for index in range(count):
        style = scene.sample(scene.stream_rng(seed + OTHER_STREAM, index), mix).style
        large = large_scene(seed + OTHER_STREAM, index, mix, font, data.size)
        area = shrunk(large, Image.Resampling.BOX)
        inputs = {"area": area, "lanczos": shrunk(large, Image.Resampling.LANCZOS)}
        for kind, small in {**inputs, "decoded": round_trip(area, vae)}.items():
            pair = psnr(enlarged_by(net, small), large), psnr(lanczos(small, *large.size), large)
            found.setdefault(kind, []).append(pair)
            if kind == "area":
                found.setdefault(style, []).append(pair)
    return {
        kind: {
            "learned": round(math.fsum(ours for ours, _ in pairs) / len(pairs), 2),
            "lanczos": round(math.fsum(theirs for _, theirs in pairs) / len(pairs), 2),
            "scenes": len(pairs),
        }
        for kind, pairs in found.items()
    }


def psnr(picture: Image.Image, wanted: Image.Image) -> float:
    """The PSNR in dB of two 8-bit pictures of one size over all channels, at most `BEST_PSNR`."""
    first, second = (_floats(one) for one in (picture, wanted))
    error = float(np.square(first - second).mean())
    return min(BEST_PSNR, 10 * math.log10(255**2 / error)) if error > 0 else BEST_PSNR


def _floats(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture, np.float64)
