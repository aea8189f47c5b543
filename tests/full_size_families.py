"""Every published family at full size: what its networks are, and how many numbers they hold."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import tiny_families as tiny
from sfumato.models.vocabulary import SIZE
from written_families import write_single

SD1: dict[str, Any] = {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768}
SD1 |= {"attention_head_dim": 8}
SD2: dict[str, Any] = {**SD1, "cross_attention_dim": 1024, "use_linear_projection": True}
SD2 |= {"attention_head_dim": [5, 10, 20, 20]}
XL: dict[str, Any] = {
    **SD2,
    "block_out_channels": (320, 640, 1280),
    "cross_attention_dim": 2048,
    "attention_head_dim": [5, 10, 20],
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
}
HALF = {
    "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
}
VEGA = {
    "transformer_layers_per_block": [1, [1, 1], [2, 2]],
    "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
}
REFINER = {
    "block_out_channels": (384, 768, 1536, 1536),
    "attention_head_dim": [6, 12, 24, 24],
    "cross_attention_dim": 1280,
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": 4,
}
THREE = {"block_out_channels": (320, 640, 1280)}
UPSCALER = {**SD2, "block_out_channels": (256, 512, 512, 1024), "attention_head_dim": 8}
#: Text encoders: width, layers, and the width of the pooled text.
Text = tuple[int, int, int | None]
L, H, G = (768, 12, None), (1024, 23, None), (1280, 32, 1280)
#: What each tiny family is at full size, and its text encoders.
FULL: Final[Mapping[str, tuple[dict[str, Any], tuple[Text, ...]]]] = {
    "sd15": (SD1, (L,)),
    "sd15-inpainting": (SD1, (L,)),
    "sd15-pix2pix": (SD1, (L,)),
    "lcm-sd15": (SD1, (L,)),
    "small-sd": (SD1, (L,)),
    "bk-sdm-small": (SD1, (L,)),
    "tiny-sd": ({**SD1, **THREE}, (L,)),
    "sd2-base": (SD2, (H,)),
    "sd2-768-v": (SD2, (H,)),
    "sd2-inpainting": (SD2, (H,)),
    "bk-sdm-v2-base": (SD2, (H,)),
    "bk-sdm-v2-small": (SD2, (H,)),
    "bk-sdm-v2-tiny": ({**SD2, **THREE, "attention_head_dim": [5, 10, 20]}, (H,)),
    "x4-upscaler": (UPSCALER, (H,)),
    "sdxl": (XL, (L, G)),
    "sdxl-inpainting": (XL, (L, G)),
    "sdxl-pix2pix": (XL, (L, G)),
    "sdxl-refiner": ({**XL, **REFINER}, (G,)),
    "ssd-1b": ({**XL, **HALF}, (L, G)),
    "vega": ({**XL, **VEGA}, (L, G)),
    "koala-1b": ({**XL, "transformer_layers_per_block": [1, 2, 6]}, (L, G)),
    "koala-700m": ({**XL, "transformer_layers_per_block": [1, 2, 5]}, (L, G)),
    "lcm-sdxl": (XL, (L, G)),
    "lcm-ssd-1b": ({**XL, **HALF}, (L, G)),
}
#: Numbers in the UNet, as they were published with the model or follow from its published configuration; and
#: in autoencoders and text encoders.
PUBLISHED: Final[Mapping[str, int]] = {
    "sd15": 859_520_964,
    "sd15-inpainting": 859_535_364,
    "sd15-pix2pix": 859_532_484,
    "lcm-sd15": 859_602_884,
    "small-sd": 579_384_964,
    "bk-sdm-small": 482_346_884,
    "tiny-sd": 323_384_964,
    "sd2-base": 865_910_724,
    "sd2-768-v": 865_910_724,
    "sd2-inpainting": 865_925_124,
    "bk-sdm-v2-base": 583_480_964,
    "bk-sdm-v2-small": 485_787_524,
    "bk-sdm-v2-tiny": 326_825_604,
    "x4-upscaler": 473_398_020,
    "sdxl": 2_567_463_684,
    "sdxl-inpainting": 2_567_478_084,
    "sdxl-pix2pix": 2_567_475_204,
    "sdxl-refiner": 2_259_526_660,
    "ssd-1b": 1_331_334_404,
    "vega": 745_225_604,
    "koala-1b": 1_161_184_324,
    "koala-700m": 782_822_724,
    "lcm-sdxl": 2_567_545_604,
    "lcm-ssd-1b": 1_331_416_324,
}
AUTOENCODERS: Final[Mapping[int, int]] = {3: 55_325_927, 4: 83_653_863}  # by levels
TEXTS: Final[Mapping[Text, int]] = {L: 123_060_480, H: 340_387_840, G: 694_659_840}


def full(name: str) -> tuple[tiny.Tiny, dict[str, Any]]:
    """Return the family `name` at full size, and its networks without numbers, by their names in folders."""
    config, texts = FULL[name]
    family = tiny.FAMILIES[name]
    family = replace(family, unet={**family.unet, **config})
    # In the order of a folder: its networks are written as they come.
    parts = ("text_encoder_2",) if family.refines else ("text_encoder", "text_encoder_2")
    with torch.device("meta"):
        networks: dict[str, Any] = {"unet": tiny.unet_of(family), "vae": _vae(family)}
        for part, text in zip(parts, texts, strict=False):
            networks[part] = _text(text)
    return family, networks


def write_full(name: str, path: Path) -> tuple[int, int]:
    """Write the family `name` as a single file in float16, and return how many numbers its UNet and all of it
    have.
    """
    family, networks = full(name)
    write_single(family, networks, path, "F16")
    sizes = [sum(one.numel() for one in each.state_dict().values()) for each in networks.values()]
    return sizes[0], sum(sizes)


def counts(name: str) -> dict[str, int]:
    """Return how many numbers the networks of a family hold, by what a folder calls them, as published."""
    family, (_, texts) = tiny.FAMILIES[name], FULL[name]
    parts = ("text_encoder_2",) if texts == (G,) else ("text_encoder", "text_encoder_2")
    encoders = {part: TEXTS[text] for part, text in zip(parts, texts, strict=False)}
    return {"unet": PUBLISHED[name], "vae": AUTOENCODERS[family.vae_levels], **encoders}


def _vae(family: tiny.Tiny) -> AutoencoderKL:
    levels = family.vae_levels
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=(128, 256, 512, 512)[:levels],
        layers_per_block=2,
        scaling_factor=family.scaling,
        sample_size=256 if levels == 3 else 8 * family.size,
    )


def _text(text: Text) -> CLIPTextModel | CLIPTextModelWithProjection:
    width, layers, projected = text
    config = CLIPTextConfig(
        vocab_size=SIZE,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        hidden_act="quick_gelu" if text == L else "gelu",
        projection_dim=projected or width,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    return (CLIPTextModel if projected is None else CLIPTextModelWithProjection)(config)
