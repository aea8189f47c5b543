"""What a file is that is no model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from sfumato.models.original.kinds import KINDS, kind_of

#: Names as published files of each kind have them.
FILES: dict[str, tuple[str, ...]] = {
    "LoRA": ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "lora_te_x.alpha"),
    "LoRA of peft": ("unet.down_blocks.0.attentions.0.proj_in.lora_A.weight",),
    "LoRA of diffusers": ("unet.down_blocks.0.attentions.0.to_q.lora.up.weight",),
    "LoHa": ("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a",),
    "LoKr": ("lora_unet_mid_block_attentions_0_proj_in.lokr_w1",),
    "embedding": ("emb_params",),
    "embedding of SDXL": ("clip_g", "clip_l"),
    "IP-Adapter": ("image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"),
    "ControlNet": ("control_model.input_hint_block.0.weight", "control_model.time_embed.0.weight"),
    "ControlNet of diffusers": (
        "controlnet_cond_embedding.conv_in.weight",
        "down_blocks.0.resnets.0.conv1.weight",
    ),
    "T2I-Adapter": ("adapter.body.0.block1.weight", "adapter.conv_in.weight"),
    "motion module": ("down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight",),
    "Stable Diffusion 3": ("model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight",),
    "Flux": ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight",),
    "Flux of diffusers": (
        "single_transformer_blocks.0.attn.to_k.weight",
        "transformer_blocks.0.attn.to_k.weight",
    ),
    "diffusers' layout": (
        "conv_in.weight",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k.weight",
        "time_embedding.linear_1.weight",
    ),
    "autoencoder (VAE)": ("encoder.conv_in.weight", "decoder.conv_in.weight", "quant_conv.weight"),
    "autoencoder (VAE) ": ("first_stage_model.decoder.conv_in.weight",),
    "UNet": ("input_blocks.0.0.weight", "input_blocks.1.1.transformer_blocks.0.attn1.to_k.weight"),
    "TAESD": ("decoder.1.weight", "decoder.3.conv.0.weight"),
    "text encoder": ("text_model.encoder.layers.0.self_attn.k_proj.weight",),
    "text encoder ": ("encoder.block.0.layer.0.SelfAttention.q.weight", "shared.weight"),
    "upscaler": ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
    "diffusion transformer": ("blocks.0.attn.qkv.weight", "x_embedder.proj.weight"),
    "hypernetwork": ("768.0.linear.0.weight",),
}


@pytest.mark.parametrize("about", FILES)
def test_every_kind_is_told_in_one_line(about: str, tmp_path: Path) -> None:
    word = about.split(" of ")[0].strip()
    word = {"LoHa": "LoRA", "LoKr": "LoRA"}.get(word, word)
    kind = kind_of(FILES[about])
    assert kind is not None
    assert word in kind.about
    save_file({name: torch.zeros(1) for name in FILES[about]}, tmp_path / "file.safetensors")
    with pytest.raises(ModelFileError) as caught:
        locate(tmp_path / "file.safetensors")
    line = str(caught.value)
    if word != "UNet":  # of which more is known than its names
        assert f"this is {kind.about}" in line
        assert kind.hint.rstrip(".") in line
    assert "\n" not in line


def test_strangers_are_told_what_was_seen(tmp_path: Path) -> None:
    assert kind_of(["wte.weight", "h.0.ln_1.weight"]) is None
    names = [f"h.{number}.x" for number in range(12)]
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "file.safetensors")
    with pytest.raises(ModelFileError, match=r"it has 12 tensors, the first h\.0\.x, h\.1\.x, h\.10\.x"):
        locate(tmp_path / "file.safetensors")


def test_hints_are_sentences() -> None:
    assert all(kind.hint.endswith((".", "FILE.")) or "sfumato" in kind.hint for kind in KINDS)
