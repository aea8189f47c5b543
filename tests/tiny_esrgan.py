"""A tiny random network of the kind ESRGAN in torch, and its files in the dialects that they come in."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

WIDTH, GROWTH = 6, 4


class Dense(nn.Module):
    """Five convolutions, each of which sees what all before it made."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(WIDTH + n * GROWTH, WIDTH if n == 4 else GROWTH, 3, padding=1) for n in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for number, layer in enumerate(self.layers):
            made = layer(torch.cat(seen, 1))
            seen.append(made if number == 4 else functional.leaky_relu(made, 0.2))
        return x + 0.2 * seen[-1]


class Rrdb(nn.Module):
    """The generator of Wang et al. 2018, written down once more: what ours is compared with."""

    def __init__(self, blocks: int, doublings: int, fold: int) -> None:
        super().__init__()
        self.fold = fold
        self.first = nn.Conv2d(3 * fold**2, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(nn.ModuleList(Dense() for _ in range(3)) for _ in range(blocks))
        self.merge = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.ups = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(doublings))
        self.large = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures `(B,3,h,w)` in [0, 1] to pictures `factor` times as large."""
        h = begun = self.first(functional.pixel_unshuffle(x, self.fold))
        for block in self.blocks:
            entered = h
            for dense in block.children():
                h = dense(h)
            h = entered + 0.2 * h
        h = begun + self.merge(h)
        for up in self.ups:
            larger = functional.interpolate(h, scale_factor=2.0, mode="nearest")
            h = functional.leaky_relu(up(larger), 0.2)
        return self.last(functional.leaky_relu(self.large(h), 0.2))


def tiny_esrgan(blocks: int = 1, doublings: int = 2, fold: int = 1) -> Rrdb:
    """Return a network whose output stays about [0, 1] and looks like its input."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = Rrdb(blocks, doublings, fold)
        assert net.last.bias is not None
        nn.init.constant_(net.last.bias, 0.5)
        nn.init.normal_(net.last.weight, std=1.0)
    return net.requires_grad_(False).eval()


def tensors_of(net: Rrdb, dialect: str) -> dict[str, Tensor]:
    """Return the tensors of `net` by the names of a dialect: "first", "second" or "real"."""
    ups = len(net.ups)
    count = len(net.blocks)
    dense, merge, up, large, last = {
        "first": ("model.1.sub.{b}.RDB{d}.conv{c}.0", f"model.1.sub.{count}", "model.{n}", "", ""),
        "second": ("RRDB_trunk.{b}.RDB{d}.conv{c}", "trunk_conv", "upconv{u}", "HRconv", "conv_last"),
        "real": ("body.{b}.rdb{d}.conv{c}", "conv_body", "conv_up{u}", "conv_hr", "conv_last"),
    }[dialect]
    names = {"merge": merge, "first": "conv_first", "large": large, "last": last}
    if dialect == "first":  # an enlargement, its convolution and what follows it count three
        names |= {"first": "model.0", "large": f"model.{3 * ups + 2}", "last": f"model.{3 * ups + 4}"}
    for u in range(ups):
        names[f"ups.{u}"] = up.format(u=u + 1, n=3 * u + 3)
    for b in range(count):
        for d in range(3):
            for c in range(5):
                names[f"blocks.{b}.{d}.layers.{c}"] = dense.format(b=b, d=d + 1, c=c + 1)
    renamed: dict[str, Tensor] = {}
    for key, value in net.state_dict().items():
        layer, _, kind = key.rpartition(".")
        renamed[f"{names[layer]}.{kind}"] = value.contiguous()
    return renamed


def write_esrgan(path: Path, net: Rrdb, dialect: str = "real", prefix: str = "") -> Path:
    """Write `net` as a safetensors file and return its path."""
    save_file({prefix + key: value for key, value in tensors_of(net, dialect).items()}, path)
    return path
