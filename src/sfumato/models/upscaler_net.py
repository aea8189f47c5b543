"""The upscaler as torch trains it: a small picture to the detail that its enlargement lacks."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from sfumato.models.network_files import damaged
from sfumato.models.upscalers import FACTOR, FACTS, SHARE, WEIGHTS, UpscalerShape, locate_upscaler


class _Block(nn.Module):
    """Two 3x3 convolutions, of which a tenth is added to what they take; no norms, which would wash out
    contrast (Lim et al. 2017, arXiv 1707.02921, Sections 3.1 and 3.2). With the whole added, training fell
    apart at a learning rate of 0.006.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + SHARE * self.second(functional.silu(self.first(x)))


class UpscalerNet(nn.Module):
    """Pictures `(B,3,h,w)` in [-1, 1] to pictures `(B,3,4h,4w)`, about [-1, 1] and not clipped.

    All convolutions work at the small size, and the last one's channels become pixels (Shi et al. 2016, arXiv
    1609.05158). What they make is added to the bicubic enlargement: a fresh network gives exactly that, as
    its last layer begins at zero.
    """

    def __init__(self, shape: UpscalerShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList([_Block(width) for _ in range(shape.blocks)])
        self.merge = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * FACTOR**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        h = self.head(pictures)
        for block in self.blocks:
            h = block(h)
        detail = functional.pixel_shuffle(self.tail(functional.silu(self.merge(h))), FACTOR)
        # In float32 whatever the convolutions compute in: eight bits of a bfloat16 would show as steps.
        enlarged = functional.interpolate(pictures.float(), scale_factor=float(FACTOR), mode="bicubic")
        return enlarged + detail.float()


def save_upscaler(net: UpscalerNet, folder: Path, facts: Mapping[str, object]) -> None:
    """Write `config.json` and the weights of `net` as float16 into `folder`, with `facts`, JSON data, in the
    header of the weights.
    """
    config = json.dumps(net.shape.config(), indent=2) + "\n"
    (folder / "config.json").write_text(config, encoding="utf-8")
    tensors = {key: value.half().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={FACTS: json.dumps(facts)})


def load_upscaler_net(folder: Path) -> UpscalerNet:
    """Load an upscaler's folder in float32, as torch computes it. Raises ModelFileError as `locate_upscaler`
    does, and for weights that do not fit config.json.
    """
    files = locate_upscaler(folder)
    with torch.device("meta"):
        net = UpscalerNet(UpscalerShape.of(files.config))
    try:
        tensors = {key: value.float() for key, value in load_file(files.weights).items()}
        net.load_state_dict(tensors, strict=True, assign=True)
    except (RuntimeError, SafetensorError, OSError) as error:
        what = " ".join(str(error).split())
        raise damaged(files.weights, f"does not fit its config.json ({what})") from error
    return net.requires_grad_(False).eval()
