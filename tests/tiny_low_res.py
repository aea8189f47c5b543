"""A tiny random upscaler of the family of stable-diffusion-x4-upscaler, written as a diffusers folder."""

import functools
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel

from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from tiny_models import tiny_folder, tiny_settings

BETAS = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}


def write_tiny_upscaler(folder: Path) -> Path:
    """Write an upscaler of pictures by four into `folder`, and return it: text as in `tiny_models`."""
    folder.mkdir(parents=True)
    for name in ("tokenizer", "text_encoder"):
        shutil.copytree(tiny_folder() / name, folder / name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        unet, vae = _unet(), _vae()
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    DDIMScheduler(
        **BETAS, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    DDPMScheduler(**BETAS, clip_sample=True).save_pretrained(folder / "low_res_scheduler")
    index = {
        "_class_name": "StableDiffusionUpscalePipeline",
        "low_res_scheduler": ["diffusers", "DDPMScheduler"],
        "max_noise_level": 350,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def tiny_upscaler() -> Path:
    """Return the tiny upscaler's folder, the same one all through a test run. Copy it before damaging it."""
    return _folder()


@functools.cache
def tiny_upscaler_bundle() -> ModelBundle:
    """Return the tiny upscaler, loaded on the CPU."""
    return load_bundle(str(tiny_upscaler()), tiny_settings())


@functools.cache
def _folder() -> Path:
    parent = tiny_folder().parent.parent / "upscaler"
    return write_tiny_upscaler(parent / "tiny-x4")


def _unet() -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=7,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=2,
        only_cross_attention=(True, False),
        use_linear_projection=True,
        num_class_embeds=1000,
    ).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_" in name and name.endswith("weight"):
                weight.mul_(3)
        x, context = torch.randn(2, 7, 8, 8), torch.randn(2, 16, 32)
        labels = torch.tensor([20, 20])
        out = unet(x, torch.tensor(500), encoder_hidden_states=context, class_labels=labels).sample
        unet.conv_out.weight.div_(out.std())
    return unet


def _vae() -> AutoencoderKL:
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.08333,
    ).eval()
    with torch.no_grad():
        out = vae.decode(torch.randn(2, 4, 8, 8) / 0.08333).sample
        vae.decoder.conv_out.weight.div_(2 * out.std())
    return vae
