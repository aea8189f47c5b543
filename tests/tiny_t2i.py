"""Tiny random T2I-Adapters of diffusers' own class, as folders and in the layout of their authors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import T2IAdapter

#: Fit the families "sd" and "sdxl" of `family_models`.
SD: dict[str, Any] = {"adapter_type": "full_adapter", "channels": [16, 32, 64, 64], "downscale_factor": 8}
LIGHT: dict[str, Any] = {
    "adapter_type": "light_adapter",
    "channels": [16, 32, 64],
    "num_res_blocks": 4,
    "downscale_factor": 8,
}
XL: dict[str, Any] = {
    "adapter_type": "full_adapter_xl",
    "channels": [20, 40, 80, 80],
    "downscale_factor": 16,
}


def write_t2i(folder: Path, config: Mapping[str, Any], *, seed: int = 0, **changes: Any) -> T2IAdapter:
    """Write an adapter into `folder` and return it; `changes` replace or add to `config`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = T2IAdapter(**{**config, **changes})
        net.eval().requires_grad_(False)
        for weight in net.parameters():
            if weight.ndim == 4:  # features of about one, whatever the width
                weight.normal_(std=0.9 * weight[0].numel() ** -0.5)
    net.save_pretrained(folder)
    return net


def original_t2i(state: Mapping[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Return the tensors of an adapter with so many residual blocks in a level as its authors call them."""
    made: dict[str, torch.Tensor] = {}
    light = "adapter.body.0.out_conv.weight" in state
    for name, tensor in state.items():
        parts = name.removeprefix("adapter.").split(".")
        if parts[0] == "body" and light:
            parts[2] = "body" if parts[2] == "resnets" else parts[2]
        elif parts[0] == "body":
            at = int(parts[1]) * layers
            if parts[2] == "resnets":
                at += int(parts[3])
                del parts[2:4]
            parts[1] = str(at)
        made[".".join(parts)] = tensor
    return made
