"""Tiny random models with a transformer in the place of the UNet (Stable Diffusion 3): folders of 64x64
pictures, with and without T5, which diffusers' pipeline loads as well.
"""

import functools
import json
import warnings
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from tiny_models import CORPUS, MAX_LENGTH, temporary_folder, tiny_settings, write_tokenizer

LATENTS = 16
WIDTHS = (32, 48)  # of the two CLIP encoders
POOLED = (24, 40)
WIDE = 96  # of T5: more than the two together, as published
SHIFT = 3.0

MEDIUM: dict[str, Any] = {"num_layers": 3}
#: As Stable Diffusion 3.5 medium has them: norms of queries and keys, and layers that attend twice.
DUAL: dict[str, Any] = {"num_layers": 3, "qk_norm": "rms_norm", "dual_attention_layers": (0, 1)}
LARGE: dict[str, Any] = {"num_layers": 4, "qk_norm": "rms_norm"}
KINDS = {"sd3": MEDIUM, "sd3-no-t5": MEDIUM, "sd35-medium": DUAL, "sd35-large": LARGE}


@functools.cache
def joint_folder(name: str) -> Path:
    """Return the folder of a tiny model, one of `KINDS`, the same one all through a test run."""
    folder = temporary_folder() / "joint" / name
    return write_joint(folder, KINDS[name], t5=name != "sd3-no-t5")


@functools.cache
def joint_bundle(name: str) -> ModelBundle:
    """Return the model of `joint_folder`, loaded on the CPU."""
    return load_bundle(str(joint_folder(name)), tiny_settings())


@functools.cache
def joint_pipeline(name: str, kind: str = "StableDiffusion3Pipeline") -> Any:
    """Return diffusers' pipeline of a tiny model."""
    if kind != "StableDiffusion3Pipeline":
        pipe: Any = getattr(diffusers, kind)(**joint_pipeline(name).components)
    else:
        without = {"text_encoder_3": None, "tokenizer_3": None} if name == "sd3-no-t5" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipe = diffusers.StableDiffusion3Pipeline.from_pretrained(joint_folder(name), **without)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def write_joint(folder: Path, config: dict[str, Any], *, t5: bool = True, seed: int = 0) -> Path:
    """Write a model with a transformer of this configuration into `folder`, and return it."""
    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for number, part in enumerate(("", "_2")):
            size = write_tokenizer(folder / f"tokenizer{part}")
            _clip(size, number).save_pretrained(folder / f"text_encoder{part}")
        if t5:
            size = write_pieces(folder / "tokenizer_3")
            _t5(size).save_pretrained(folder / "text_encoder_3")
        _transformer(config).save_pretrained(folder / "transformer")
        _vae().save_pretrained(folder / "vae")
    diffusers.FlowMatchEulerDiscreteScheduler(shift=SHIFT).save_pretrained(folder / "scheduler")
    index: dict[str, Any] = {
        "_class_name": "StableDiffusion3Pipeline",
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }
    for part in ("", "_2"):
        index[f"text_encoder{part}"] = ["transformers", "CLIPTextModelWithProjection"]
        index[f"tokenizer{part}"] = ["transformers", "CLIPTokenizer"]
    index["text_encoder_3"] = ["transformers", "T5EncoderModel"] if t5 else [None, None]
    index["tokenizer_3"] = ["transformers", "T5TokenizerFast"] if t5 else [None, None]
    index |= {"image_encoder": [None, None], "feature_extractor": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_pieces(folder: Path) -> int:
    """Write sentence pieces of the words and letters of a few captions as T5's tokenizer; return their
    number.
    """
    words = dict.fromkeys("▁" + word for word in " ".join(CORPUS).replace(",", "").split())
    letters = [*"abcdefghijklmnopqrstuvwxyz,.!▁", *(f"▁{letter}" for letter in "abcdefghij")]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(one, -5.0) for one in letters] + [(one, -6.0) for one in words if one not in letters]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=2, byte_fallback=False))
    spaced = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaced])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
    )
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {**special, "extra_ids": 0, "model_max_length": 512, "tokenizer_class": "T5Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(pieces)


def _clip(vocab_size: int, number: int) -> CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTHS[number],
        intermediate_size=64,
        projection_dim=POOLED[number],
        num_hidden_layers=3,
        num_attention_heads=2,
        hidden_act="quick_gelu" if number == 0 else "gelu",
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
        pad_token_id=vocab_size - 1,
    )
    model = CLIPTextModelWithProjection(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("token_embedding.weight"):
                weight.mul_(20)
            elif name == "text_projection.weight":
                weight.mul_(5)
    return model


def _t5(vocab_size: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=vocab_size,
        d_model=WIDE,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=True,
    )
    return T5EncoderModel(config).eval()


def _transformer(config: dict[str, Any]) -> SD3Transformer2DModel:
    model = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=LATENTS,
        attention_head_dim=16,
        num_attention_heads=4,
        joint_attention_dim=WIDE,
        caption_projection_dim=64,
        pooled_projection_dim=sum(POOLED),
        out_channels=LATENTS,
        pos_embed_max_size=12,
        **config,
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".add_" in name or name.startswith("context_embedder"):
                weight.mul_(3)
        out = model(
            torch.randn(4, LATENTS, 8, 8),
            torch.randn(4, MAX_LENGTH, WIDE),
            torch.randn(4, sum(POOLED)),
            torch.full((4,), 500.0),
        ).sample
        model.proj_out.weight.div_(out.std())
        model.proj_out.bias.zero_()
    return model


def _vae() -> AutoencoderKL:
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=LATENTS,
        scaling_factor=1.5305,
        shift_factor=0.0609,
        use_quant_conv=False,
        use_post_quant_conv=False,
        sample_size=64,
    ).eval()
    with torch.no_grad():
        pixels = vae.decode(torch.randn(4, LATENTS, 8, 8)).sample
        vae.decoder.conv_out.weight.mul_(0.5 / pixels.std())
        assert vae.decoder.conv_out.bias is not None
        vae.decoder.conv_out.bias.sub_(0.5 * pixels.mean() / pixels.std())
    return vae
