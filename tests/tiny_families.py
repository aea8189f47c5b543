"""Every published family at tiny width: random weights as a diffusers folder, and the same written in the
original layout by plain arithmetic on names, which knows nothing of the maps that are tested.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from sfumato.models.vocabulary import SIZE, merges_txt, vocab_json

X, N = "CrossAttn", ""  # levels that attend to the text, and those that do not
TEXT = 64  # the width of a text encoder: one head
V = "v_prediction"
WIDTHS = (32, 32, 64, 64)


@dataclass(frozen=True)
class Tiny:
    """A family: what its UNet is beyond diffusers' defaults, its levels on the way down, the layers of its
    text encoders, and the schedule.
    """

    unet: Mapping[str, Any] = field(default_factory=dict)
    levels: tuple[str, ...] = (X, X, X, N)
    texts: tuple[int, ...] = (2,)
    packed: bool = False
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    vae_levels: int = 4
    scaling: float = 0.18215
    index: Mapping[str, Any] = field(default_factory=dict)
    pipeline: str = "StableDiffusionPipeline"
    size: int = 64

    @property
    def refines(self) -> bool:
        """Whether it is SDXL's refiner, whose folder has a second text encoder alone."""
        return len(self.texts) == 1 and "addition_embed_type" in self.unet


def _first(**changes: Any) -> dict[str, Any]:
    return {"block_out_channels": WIDTHS, "attention_head_dim": 8, "cross_attention_dim": TEXT, **changes}


def _second(**changes: Any) -> dict[str, Any]:
    heads = {"block_out_channels": (64, 64, 128, 128), "attention_head_dim": [1, 1, 2, 2]}
    return {"cross_attention_dim": TEXT, "use_linear_projection": True, **heads, **changes}


def _large(**changes: Any) -> dict[str, Any]:
    return {
        "block_out_channels": (64, 64, 128),
        "attention_head_dim": [1, 1, 2],
        "cross_attention_dim": 2 * TEXT,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": TEXT + 6 * 256,
        "transformer_layers_per_block": [1, 1, 3],
        **changes,
    }


TWO = (2, 3)
XL: dict[str, Any] = {
    "levels": (N, X, X),
    "texts": TWO,
    "packed": True,
    "scaling": 0.13025,
    "size": 128,
    "pipeline": "StableDiffusionXLPipeline",
}
HALF = {
    "mid_block_type": "UNetMidBlock2D",
    "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 5], [2, 1, 1], 1],
}
SHORT = {"layers_per_block": 1}
SMALLEST = {**SHORT, "mid_block_type": None, "block_out_channels": (32, 32, 64)}
SMALLEST_2 = {
    **SHORT,
    "mid_block_type": None,
    "block_out_channels": (64, 64, 128),
    "attention_head_dim": [1, 1, 2],
}
PENULTIMATE: dict[str, Any] = {"texts": (23,), "packed": True}
VELOCITY: dict[str, Any] = {**PENULTIMATE, "scheduler": {"prediction_type": V}, "size": 96}
UPSCALING = {"prediction_type": V, "beta_start": 0.0001, "beta_end": 0.02}
LCM = {"time_cond_proj_dim": 256}

FAMILIES: Mapping[str, Tiny] = {
    "sd15": Tiny(_first()),
    "sd15-inpainting": Tiny(_first(in_channels=9)),
    "sd15-pix2pix": Tiny(_first(in_channels=8)),
    "lcm-sd15": Tiny(_first(**LCM), scheduler={"steps_offset": 0}),
    "small-sd": Tiny(_first(**SHORT)),
    "bk-sdm-small": Tiny(_first(**SHORT, mid_block_type=None)),
    "tiny-sd": Tiny(_first(**SMALLEST), (X, X, X)),
    "sd2-base": Tiny(_second(), **PENULTIMATE),
    "sd2-768-v": Tiny(_second(), **VELOCITY),
    "sd2-inpainting": Tiny(_second(in_channels=9), **PENULTIMATE),
    "bk-sdm-v2-base": Tiny(_second(**SHORT), **PENULTIMATE),
    "bk-sdm-v2-small": Tiny(_second(**SHORT, mid_block_type=None), **PENULTIMATE),
    "bk-sdm-v2-tiny": Tiny(_second(**SMALLEST_2), (X, X, X), **VELOCITY),
    "x4-upscaler": Tiny(
        _second(
            in_channels=7,
            num_class_embeds=1000,
            attention_head_dim=8,
            only_cross_attention=[True, True, True, False],
            # Wider than its text, as published: otherwise nobody could tell what the attention looks at.
            block_out_channels=(32, 128, 128, 128),
        ),
        (N, X, X, X),
        **{**PENULTIMATE, "scheduler": UPSCALING, "vae_levels": 3, "scaling": 0.08333, "size": 128},
    ),
    "sdxl": Tiny(_large(), **XL),
    "sdxl-inpainting": Tiny(_large(in_channels=9), **XL),
    "sdxl-pix2pix": Tiny(_large(in_channels=8), **XL),
    "sdxl-refiner": Tiny(
        _large(
            block_out_channels=(64, 64, 128, 128),
            attention_head_dim=[1, 1, 2, 2],
            cross_attention_dim=TEXT,
            projection_class_embeddings_input_dim=TEXT + 5 * 256,
            transformer_layers_per_block=2,
        ),
        **{**XL, "levels": (N, X, X, N), "texts": (3,)},
    ),
    "ssd-1b": Tiny(_large(**HALF), **XL),
    "vega": Tiny(
        _large(
            **{
                **HALF,
                "transformer_layers_per_block": [1, [1, 1], [2, 2]],
                "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
            }
        ),
        **XL,
    ),
    "koala-1b": Tiny(_large(**SHORT), **XL),
    "koala-700m": Tiny(_large(**SHORT, mid_block_type=None), **XL),
    "lcm-sdxl": Tiny(_large(**LCM), **XL),
    "lcm-ssd-1b": Tiny(_large(**HALF, **LCM), **XL),
}


def write_family(folder: Path, tiny: Tiny, *, dtype: torch.dtype = torch.float16) -> Path:
    """Write a diffusers folder of `tiny` with random weights, as diffusers has it, and return it."""
    networks = networks_at(tiny)
    write_around(folder, tiny, networks)
    generator = torch.Generator().manual_seed(len(str(tiny)))
    for name, network in networks.items():
        state = {key: _random(key, one, generator).to(dtype) for key, one in network.state_dict().items()}
        save_file(state, folder / name / f"{stem_of(name)}.safetensors")
    return folder


def stem_of(network: str) -> str:
    """Return what the weights of a network are called in a folder."""
    return "model" if network.startswith("text_encoder") else "diffusion_pytorch_model"


def networks_at(tiny: Tiny) -> dict[str, Any]:
    """Return the networks of a family, by what a folder calls them, without numbers."""
    with torch.device("meta"):  # drawing the numbers that constructors draw takes seconds
        networks: dict[str, Any] = {"unet": unet_of(tiny), "vae": _vae(tiny)}
        for at, layers in enumerate(tiny.texts):
            second = at > 0 or tiny.refines
            networks["text_encoder_2" if second else "text_encoder"] = _text(tiny, layers, second)
    return networks


def write_around(folder: Path, tiny: Tiny, networks: Mapping[str, Any]) -> None:
    """Write all that a diffusers folder of `tiny` has but the weights of its `networks`."""
    folder.mkdir(parents=True)
    index: dict[str, Any] = {"_class_name": tiny.pipeline, **tiny.index}
    for name, network in networks.items():
        write_json(folder / name / "config.json", _config(network))
        index[name] = ["-", type(network).__name__]
        if name.startswith("text_encoder"):
            _write_tokenizer(
                folder / name.replace("text_encoder", "tokenizer"), packed=_is_packed(tiny, name)
            )
            index[name.replace("text_encoder", "tokenizer")] = ["transformers", "CLIPTokenizer"]
    schedule = {
        "_class_name": "DDIMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "epsilon",
        "steps_offset": 1,
        **tiny.scheduler,
    }
    write_json(folder / "scheduler" / "scheduler_config.json", schedule)
    if tiny.vae_levels == 3:
        noise = {**schedule, "_class_name": "DDPMScheduler", "prediction_type": "epsilon", "steps_offset": 0}
        write_json(folder / "low_res_scheduler" / "scheduler_config.json", noise)
        index |= {"low_res_scheduler": ["diffusers", "DDPMScheduler"], "max_noise_level": 350}
    index["scheduler"] = ["diffusers", "DDIMScheduler"]
    write_json(folder / "model_index.json", index)


def write_original(
    folder: Path,
    path: Path,
    tiny: Tiny,
    notes: Mapping[str, str] | None = None,
    extra: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write the folder's networks into one file of the original layout, and return it: with `notes` as its
    metadata, and `extra` tensors.
    """
    tensors = dict(extra or {})
    layers = tiny.unet.get("layers_per_block", 2)
    for name, tensor in networks_of(folder, "unet").items():
        tensors[f"model.diffusion_model.{unet_name(name, layers, tiny.levels)}"] = tensor
    for name, tensor in networks_of(folder, "vae").items():
        tensors[f"first_stage_model.{vae_name(name, tiny.vae_levels)}"] = convolved(name, tensor)
    for at, prefix in enumerate(text_prefixes(tiny)):
        part = "text_encoder_2" if at == 1 or tiny.refines else "text_encoder"
        state = networks_of(folder, part)
        tensors |= open_clip(state, prefix) if prefix.endswith("model.") else transformers(state, prefix)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, dict(notes or {}) or None)
    return path


def networks_of(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a network of a folder."""
    (path,) = (folder / name).glob("*.safetensors")
    return load_file(path)


def text_prefixes(tiny: Tiny) -> tuple[str, ...]:
    """Return where the text encoders of a family lie."""
    if tiny.refines:
        return ("conditioner.embedders.0.model.",)
    if len(tiny.texts) == 2:
        return "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
    return ("cond_stage_model.model.",) if tiny.packed else ("cond_stage_model.transformer.",)


_VOCABULARY = functools.cache(vocab_json)
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_PLAIN = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "time_embedding.cond_proj": "time_embed.cond_proj",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "class_embedding": "label_emb",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def unet_name(name: str, layers: int, levels: tuple[str, ...]) -> str:
    """Return what a tensor of a UNet of so many `layers` in each of its `levels` is called."""
    for ours, theirs in _PLAIN.items():
        if name.startswith(f"{ours}."):
            return theirs + name[len(ours) :]
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name):
        way, level, kind, place = found[1], int(found[2]), found[3], int(found[4])
        number = 1 + level * (layers + 1) + place if way == "down" else level * (layers + 1) + place
        rest = _in_resnet(found[5]) if kind == "resnets" else found[5]
        return f"{'input' if way == 'down' else 'output'}_blocks.{number}.{int(kind != 'resnets')}.{rest}"
    if found := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", name):
        return f"input_blocks.{(int(found[1]) + 1) * (layers + 1)}.0.op.{found[2]}"
    if found := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.conv\.(.*)", name):
        level = int(found[1])
        place = 2 if levels[::-1][level] == X else 1
        return f"output_blocks.{level * (layers + 1) + layers}.{place}.conv.{found[2]}"
    if found := re.match(r"mid_block\.resnets\.(\d)\.(.*)", name):
        return f"middle_block.{2 * int(found[1])}.{_in_resnet(found[2])}"
    return name.replace("mid_block.attentions.0", "middle_block.1")


def _in_resnet(name: str) -> str:
    part, _, leaf = name.rpartition(".")
    return f"{_RESNET[part]}.{leaf}"


def vae_name(name: str, levels: int) -> str:
    """Return what a tensor of an autoencoder of so many levels is called."""
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = name.replace("mid_block.attentions.0", "mid.attn_1")
    for ours, theirs in {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v"}.items():
        name = name.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
    name = name.replace("attn_1.to_out.0.", "attn_1.proj_out.")
    name = re.sub(r"encoder\.down_blocks\.(\d)", r"encoder.down.\1", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)", lambda at: f"decoder.up.{levels - 1 - int(at[1])}", name)
    name = name.replace(".resnets.", ".block.").replace("downsamplers.0", "downsample")
    return name.replace("upsamplers.0", "upsample")


def convolved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of an autoencoder as original files have it: its attention as convolutions."""
    attends = re.search(r"attentions\.0\.to_(q|k|v|out\.0)\.weight$", name)
    return tensor[:, :, None, None] if attends else tensor


def transformers(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return a text encoder as Stable Diffusion 1 has it."""
    named = {f"text_model.{key.removeprefix('text_model.')}": tensor for key, tensor in state.items()}
    return {
        **{prefix + key: tensor for key, tensor in named.items()},
        f"{prefix}text_model.embeddings.position_ids": torch.arange(77)[None],
    }


def open_clip(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return a text encoder as open_clip has it."""
    state = {key.removeprefix("text_model."): tensor for key, tensor in state.items()}
    made = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "logit_scale": torch.tensor(4.6),
    }
    projection = state.get("text_projection.weight")
    width = len(state["final_layer_norm.weight"])
    made["text_projection"] = torch.eye(width) if projection is None else projection.T
    layers = len({key.split(".")[2] for key in state if key.startswith("encoder.layers.")})
    for number in range(layers):
        ours, theirs = f"encoder.layers.{number}.", f"transformer.resblocks.{number}."
        for kind in ("weight", "bias"):
            packed = [state[f"{ours}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            made[f"{theirs}attn.in_proj_{kind}"] = torch.cat(packed)
            made[f"{theirs}attn.out_proj.{kind}"] = state[f"{ours}self_attn.out_proj.{kind}"]
            made[f"{theirs}ln_1.{kind}"] = state[f"{ours}layer_norm1.{kind}"]
            made[f"{theirs}ln_2.{kind}"] = state[f"{ours}layer_norm2.{kind}"]
            made[f"{theirs}mlp.c_fc.{kind}"] = state[f"{ours}mlp.fc1.{kind}"]
            made[f"{theirs}mlp.c_proj.{kind}"] = state[f"{ours}mlp.fc2.{kind}"]
    if layers == 23:  # the one that nobody looks at
        last = {key: tensor for key, tensor in made.items() if "resblocks.22." in key}
        made |= {key.replace("resblocks.22.", "resblocks.23."): -tensor for key, tensor in last.items()}
    return {prefix + key: tensor for key, tensor in made.items()}


def write_json(path: Path, data: object) -> None:
    """Write `data` as JSON, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def _is_packed(tiny: Tiny, name: str) -> bool:
    return tiny.packed and (name == "text_encoder_2" or len(tiny.texts) == 1)


def unet_of(tiny: Tiny) -> UNet2DConditionModel:
    """Return the UNet of a family."""
    config = {
        "sample_size": tiny.size,
        "in_channels": 4,
        "down_block_types": [f"{kind}DownBlock2D" for kind in tiny.levels],
        "up_block_types": [f"{kind}UpBlock2D" for kind in tiny.levels[::-1]],
        **tiny.unet,
    }
    return UNet2DConditionModel.from_config(config)


def _vae(tiny: Tiny) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * tiny.vae_levels,
        up_block_types=("UpDecoderBlock2D",) * tiny.vae_levels,
        block_out_channels=(32, 32, 64, 64)[: tiny.vae_levels],
        layers_per_block=2 if tiny.vae_levels == 3 else 1,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=256 if tiny.vae_levels == 3 else 8 * tiny.size,
        scaling_factor=tiny.scaling,
    )


def _text(tiny: Tiny, layers: int, second: bool) -> CLIPTextModel | CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=SIZE,
        hidden_size=TEXT,
        intermediate_size=4 * TEXT,
        num_hidden_layers=layers,
        num_attention_heads=1,
        max_position_embeddings=77,
        hidden_act="gelu" if tiny.packed and (second or len(tiny.texts) == 1) else "quick_gelu",
        projection_dim=TEXT,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    kind = CLIPTextModelWithProjection if second else CLIPTextModel
    return kind(config)


def _random(name: str, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return numbers for a tensor that keep activations near one."""
    numbers = torch.randn(like.shape, generator=generator)
    if "embedding.weight" in name:
        return numbers * 0.3
    if like.ndim > 1:
        return numbers * like[0].numel() ** -0.5
    return 0.1 * numbers + (1.0 if "norm" in name and name.endswith("weight") else 0.0)


def _config(network: Any) -> dict[str, Any]:
    if isinstance(network, CLIPTextModel | CLIPTextModelWithProjection):
        return network.config.to_dict()
    written = {key: value for key, value in network.config.items() if not key.startswith("_use_default")}
    return {"_class_name": type(network).__name__, **written}


def _write_tokenizer(folder: Path, *, packed: bool) -> None:
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_bytes(_VOCABULARY())
    (folder / "merges.txt").write_bytes(merges_txt())
    config = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "!" if packed else "<|endoftext|>",
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
    }
    write_json(folder / "tokenizer_config.json", config)
