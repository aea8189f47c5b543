"""A tiny random upscaler, written as `sfumato train` writes one."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sfumato.models.upscaler_net import UpscalerNet, save_upscaler
from sfumato.models.upscalers import UpscalerShape

SHAPE = UpscalerShape(width=8, blocks=2)


def write_upscaler(folder: Path, shape: UpscalerShape = SHAPE) -> Path:
    """Write an upscaler whose detail is about a tenth of the picture's range, and return its folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = UpscalerNet(shape)
        torch.nn.init.normal_(net.tail.weight, std=0.05)
    folder.mkdir(parents=True, exist_ok=True)
    save_upscaler(net, folder, {"psnr": {"area": {"learned": 31.5, "lanczos": 28.0}}})
    return folder


def waves(width: int, height: int) -> Image.Image:
    """A picture of soft waves and hard bars, the same each time."""
    y, x = np.mgrid[0:height, 0:width]
    soft = 128 + 90 * np.sin(x / 5) * np.cos(y / 7)
    bars = np.where((x // 6 + y // 9) % 2 == 0, 40, 210)
    pixels = np.stack([soft, bars, (soft + bars) / 2], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))
