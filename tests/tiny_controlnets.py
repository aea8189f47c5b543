"""Tiny random ControlNets of diffusers' own class, as folders.

Their zero convolutions are not zero: with those, every ControlNet would give the same, nothing.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel

from tiny_families import unet_name

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


def original_controlnet(state: Mapping[str, torch.Tensor], layers: int = 2) -> dict[str, torch.Tensor]:
    """Return the tensors of a ControlNet with so many `layers` in each level as the first code had them."""
    return {_original(name, layers): tensor for name, tensor in state.items()}


def _original(name: str, layers: int) -> str:
    if found := re.match(r"controlnet_down_blocks\.(\d+)\.(.*)", name):
        return f"zero_convs.{found[1]}.0.{found[2]}"
    if found := re.match(r"controlnet_cond_embedding\.blocks\.(\d+)\.(.*)", name):
        return f"input_hint_block.{2 * int(found[1]) + 2}.{found[2]}"
    for ours, theirs in {
        "controlnet_mid_block.": "middle_block_out.0.",
        "controlnet_cond_embedding.conv_in.": "input_hint_block.0.",
        "controlnet_cond_embedding.conv_out.": "input_hint_block.14.",
    }.items():
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return unet_name(name, layers, ())
