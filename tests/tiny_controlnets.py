"""Tiny random ControlNets of diffusers' own class, as folders.

Their zero convolutions are not zero: with those, every ControlNet would give the same, nothing.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel

#: Fits the model of `tiny_models.tiny_folder`.
FITTING: dict[str, Any] = {
    "in_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "attention_head_dim": 2,
    "conditioning_embedding_out_channels": (4, 8, 8, 16),
}


def write_controlnet(folder: Path, *, seed: int = 0, **changes: Any) -> ControlNetModel:
    """Write a ControlNet into `folder` and return it; `changes` replace or add to `FITTING`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ControlNetModel(**{**FITTING, **changes}).eval().requires_grad_(False)
        for name, weight in net.named_parameters():
            if weight.any() and name.startswith("controlnet_cond_embedding"):
                weight.mul_(2)  # so that what the hint shows matters
            elif not weight.any():
                weight.normal_(std=0.3 if weight.ndim == 1 else weight[0].numel() ** -0.5)
    net.save_pretrained(folder)
    return net
