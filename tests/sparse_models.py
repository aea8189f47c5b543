"""Model files of full size that take no room: a true header, and a body that is a hole in the file."""

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path

from sfumato.models.families import FAMILIES
from sfumato.models.original.names import rename, unet_modules
from sfumato.models.original.structure import Shape, UNetStructure
from sfumato.models.safetensors_header import BITS

SD1_TEXT: dict[str, Shape] = {
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
    "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": (3072, 768),
}
LORA: dict[str, Shape] = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.alpha": (),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (8, 768),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": (320, 8),
}


def write_sparse(
    path: Path,
    shapes: Mapping[str, Shape],
    metadata: Mapping[str, str] | None = None,
    dtype: str = "F16",
) -> Path:
    """Write a safetensors file with zeros of these shapes, and return it."""
    at, header = 0, {}
    for name, shape in shapes.items():
        size = math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if metadata is not None:
        header = {"__metadata__": metadata, **header}
    text = json.dumps(header, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path


def structure(name: str, *, more: int = 0, guidance: int | None = None) -> UNetStructure:
    """Return the UNet of the family called `name`, with `more` channels of input than its own."""
    family = next(one for one in FAMILIES if one.name == name)
    crossing = (True, True, True, False) if name == "x4-upscaler" else (False,) * len(family.levels)
    return UNetStructure(
        family.levels,
        family.middle,
        family.context,
        family.channels + more,
        4,
        family.context != 768,
        crossing,
        family.pooled,
        family.classes,
        guidance,
    )


@functools.cache
def diffusers_shapes(unet: UNetStructure) -> dict[str, Shape]:
    """Return the shapes of the tensors of diffusers' class for `unet`; none of them is made."""
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        net = UNet2DConditionModel.from_config(unet.config())
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


@functools.cache
def original_shapes(unet: UNetStructure) -> dict[str, Shape]:
    """Return the same in the original layout, with its prefix."""
    shapes = diffusers_shapes(unet)
    names = rename(shapes, unet_modules(unet))
    return {f"model.diffusion_model.{names[name]}": shape for name, shape in shapes.items()}
