"""Tiny random models of the families that people have, which draw: folders of 64x64 pictures.

Their UNets have the structure that was published (blocks, layers, heads, what they are told) at a sixteenth
of the width, or a little more. The rest is as in `tiny_models`: `from_pretrained` of diffusers loads them.
"""

import functools
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from tiny_low_res import tiny_upscaler
from tiny_models import MAX_LENGTH, temporary_folder, tiny_folder, tiny_settings, write_tokenizer

WIDTHS = (32, 48)  # of the two text encoders; they differ, so that none can be taken for the other
POOLED, TIMES = 40, 8
EULER = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
ANCESTRAL = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
LCM = {"_class_name": "LCMScheduler", "timestep_spacing": "leading", "original_inference_steps": 50}
X, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UP_X, UP_PLAIN = "CrossAttnUpBlock2D", "UpBlock2D"

SD: dict[str, Any] = {
    "block_out_channels": [16, 32, 64, 64],
    "down_block_types": [X, X, X, PLAIN],
    "up_block_types": [UP_PLAIN, UP_X, UP_X, UP_X],
    "attention_head_dim": 8,
    "cross_attention_dim": WIDTHS[0],
    "layers_per_block": 2,
}
TINY: dict[str, Any] = {
    **SD,
    "block_out_channels": [16, 32, 64],
    "down_block_types": [X, X, X],
    "up_block_types": [UP_X, UP_X, UP_X],
    "layers_per_block": 1,
    "mid_block_type": None,
}
XL: dict[str, Any] = {
    "block_out_channels": [20, 40, 80],
    "down_block_types": [PLAIN, X, X],
    "up_block_types": [UP_X, UP_X, UP_PLAIN],
    "attention_head_dim": [5, 10, 20],
    "transformer_layers_per_block": [1, 2, 10],
    "cross_attention_dim": sum(WIDTHS),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": TIMES,
    "projection_class_embeddings_input_dim": POOLED + 6 * TIMES,
    "layers_per_block": 2,
}
REFINER: dict[str, Any] = {
    **XL,
    "block_out_channels": [24, 48, 96, 96],
    "down_block_types": [PLAIN, X, X, PLAIN],
    "up_block_types": [UP_PLAIN, UP_X, UP_X, UP_PLAIN],
    "attention_head_dim": [6, 12, 24, 24],
    "transformer_layers_per_block": 4,
    "cross_attention_dim": WIDTHS[1],
    "projection_class_embeddings_input_dim": POOLED + 5 * TIMES,
}
SSD_1B: dict[str, Any] = {
    **XL,
    "mid_block_type": "UNetMidBlock2D",
    "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
}
VEGA: dict[str, Any] = {
    **SSD_1B,
    "transformer_layers_per_block": [1, [1, 1], [2, 2]],
    "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
}
KOALA: dict[str, Any] = {**XL, "layers_per_block": 1, "transformer_layers_per_block": [1, 2, 6]}
SD2: dict[str, Any] = {**SD, "use_linear_projection": True, "attention_head_dim": [2, 4, 8, 8]}
UPSCALER: dict[str, Any] = {
    **SD2,
    "block_out_channels": [16, 32, 32, 64],
    "down_block_types": [PLAIN, X, X, X],
    "up_block_types": [UP_X, UP_X, UP_X, UP_PLAIN],
    "attention_head_dim": 8,
    "only_cross_attention": [True, True, True, False],
    "num_class_embeds": 1000,
    "in_channels": 7,
}
TOLD = {"time_cond_proj_dim": 256}
MASKED = {"in_channels": 9}
VELOCITY = {**EULER, "prediction_type": "v_prediction"}
ZERO_SNR = {**VELOCITY, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
UPSCALING = {**VELOCITY, "beta_start": 0.0001, "beta_end": 0.02}


@dataclass(frozen=True)
class Family:
    """A family: its UNet, its scheduler, which text encoders it has (0, 1), and more of its index."""

    unet: dict[str, Any]
    scheduler: dict[str, Any] = field(default_factory=lambda: EULER)
    encoders: tuple[int, ...] = (0,)
    index: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def upscales(self) -> bool:
        """Whether the UNet takes a small picture beside its latents."""
        return self.unet.get("in_channels") == 7

    @property
    def pools(self) -> bool:
        """Whether the UNet is told a pooled text."""
        return "addition_embed_type" in self.unet


BOTH = (0, 1)
ZEROS = {"force_zeros_for_empty_prompt": True}
AESTHETIC = {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}
FAMILIES = {
    "sd": Family(SD),
    "small-sd": Family({**SD, "layers_per_block": 1}),
    "bk-sdm-small": Family({**SD, "layers_per_block": 1, "mid_block_type": None}),
    "tiny-sd": Family(TINY),
    "sd-inpaint": Family({**SD, **MASKED}),
    "sd-v-zero-snr": Family(SD, ZERO_SNR),
    "sd2-base": Family(SD2),
    "sd2-v": Family(SD2, VELOCITY),
    "sd2-inpaint": Family({**SD2, **MASKED}),
    "bk-sdm-v2-base": Family({**SD2, "layers_per_block": 1}),
    "bk-sdm-v2-small": Family({**SD2, "layers_per_block": 1, "mid_block_type": None}),
    "bk-sdm-v2-tiny": Family({**SD2, **TINY, "attention_head_dim": [2, 4, 8]}),
    "x4-upscaler": Family(UPSCALER, UPSCALING),
    "sdxl": Family(XL, encoders=BOTH, index=ZEROS),
    "sdxl-turbo": Family(XL, ANCESTRAL, BOTH, ZEROS),
    "sdxl-refiner": Family(REFINER, encoders=(1,), index=AESTHETIC),
    "ssd-1b": Family(SSD_1B, encoders=BOTH, index=ZEROS),
    "vega": Family(VEGA, encoders=BOTH, index=ZEROS),
    "koala-1b": Family(KOALA, encoders=BOTH, index=ZEROS),
    "koala-700m": Family({**KOALA, "mid_block_type": None}, encoders=BOTH, index=ZEROS),
    "sdxl-inpaint": Family({**XL, **MASKED}, encoders=BOTH, index=ZEROS),
    "sdxl-v-zero-snr": Family(XL, ZERO_SNR, BOTH, ZEROS),
    "lcm-sd": Family({**SD, **TOLD}, LCM),
    "lcm-sdxl": Family({**XL, **TOLD}, LCM, BOTH, ZEROS),
    "lcm-ssd-1b": Family({**SSD_1B, **TOLD}, LCM, BOTH, ZEROS),
}


@functools.cache
def family_folder(name: str) -> Path:
    """Return the folder of a tiny model of this family, the same one all through a test run."""
    return write_family(temporary_folder() / "families" / name, FAMILIES[name])


@functools.cache
def family_bundle(name: str) -> ModelBundle:
    """Return the model of `family_folder`, loaded on the CPU."""
    return load_bundle(str(family_folder(name)), tiny_settings())


def write_family(folder: Path, family: Family, seed: int = 0) -> Path:
    """Write a model of this family into `folder`, and return it."""
    shutil.copytree((tiny_upscaler() if family.upscales else tiny_folder()) / "vae", folder / "vae")
    if family.upscales:
        shutil.copytree(tiny_upscaler() / "low_res_scheduler", folder / "low_res_scheduler")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for number in family.encoders:
            part = ("", "_2")[number]
            size = write_tokenizer(folder / f"tokenizer{part}")
            if number == 1:
                _pad_with(folder / "tokenizer_2", "!")
            _text_encoder(size, number).save_pretrained(folder / f"text_encoder{part}")
        _unet(family.unet).save_pretrained(folder / "unet")
    scheduler = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "steps_offset": 1,
        "set_alpha_to_one": False,
        "clip_sample": False,
        **family.scheduler,
    }
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    (folder / "model_index.json").write_text(json.dumps(_index(family)))
    return folder


def _index(family: Family) -> dict[str, Any]:
    index: dict[str, Any] = {
        **family.index,
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", family.scheduler["_class_name"]],
    }
    kinds = "CLIPTextModel", "CLIPTextModelWithProjection"
    for number in BOTH if family.pools else (0,):
        part, there = ("", "_2")[number], number in family.encoders
        index[f"text_encoder{part}"] = ["transformers", kinds[number]] if there else [None, None]
        index[f"tokenizer{part}"] = ["transformers", "CLIPTokenizer"] if there else [None, None]
    if not family.pools:
        nothing = {name: [None, None] for name in ("safety_checker", "feature_extractor")}
        if family.upscales:
            noise = {"low_res_scheduler": ["diffusers", "DDPMScheduler"], "max_noise_level": 350}
            return {**index, **noise, "_class_name": "StableDiffusionUpscalePipeline"}
        return {**index, **nothing, "_class_name": "StableDiffusionPipeline"}
    kind = "StableDiffusionXLPipeline" if 0 in family.encoders else "StableDiffusionXLImg2ImgPipeline"
    return {**index, "_class_name": kind}


def _pad_with(folder: Path, token: str) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**config, "pad_token": token}))


def _text_encoder(vocab_size: int, number: int) -> CLIPTextModel | CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTHS[number],
        intermediate_size=64,
        projection_dim=POOLED,
        num_hidden_layers=3,
        num_attention_heads=2,
        hidden_act="quick_gelu" if number == 0 else "gelu",
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
        pad_token_id=vocab_size - 1,
    )
    model = (CLIPTextModel if number == 0 else CLIPTextModelWithProjection)(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("token_embedding.weight"):
                weight.mul_(20)
            elif name == "text_projection.weight":
                weight.mul_(5)  # so that the pooled text is seen in pictures
    return model


def _unet(config: dict[str, Any]) -> UNet2DConditionModel:
    unet = UNet2DConditionModel(sample_size=8, norm_num_groups=4, **config).eval()
    told: dict[str, Any] = {}
    if "addition_embed_type" in config:
        ids = (config["projection_class_embeddings_input_dim"] - POOLED) // TIMES
        pooled, sizes = torch.randn(4, POOLED), torch.full((4, ids), 64.0)
        told["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": sizes}
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_" in name and name.endswith("weight"):
                weight.mul_(3)
        text = torch.randn(4, MAX_LENGTH, config["cross_attention_dim"])
        x = torch.randn(4, config.get("in_channels", 4), 8, 8)
        if "num_class_embeds" in config:
            told["class_labels"] = torch.full((4,), 20)
        out = unet(x, torch.tensor(500), encoder_hidden_states=text, **told).sample
        unet.conv_out.weight.div_(out.std())
    return unet
