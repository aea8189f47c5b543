"""What a safetensors file is that holds no whole model, told from the names of its tensors."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

NEVER: Final = "Stable Diffusion 1, 2, XL and, as a diffusers folder, 3 are drawn with."


@dataclass(frozen=True)
class Kind:
    """A kind of file: what it is called, what to do with it, and how its names tell it."""

    about: str
    hint: str
    tells: Callable[[Collection[str]], bool]


def _begins(*prefixes: str) -> Callable[[Collection[str]], bool]:
    """Every prefix is the beginning of some name."""
    return lambda names: all(any(name.startswith(one) for name in names) for one in prefixes)


def _contains(pattern: str) -> Callable[[Collection[str]], bool]:
    found = re.compile(pattern)
    return lambda names: any(found.search(name) for name in names)


def _only(*allowed: str) -> Callable[[Collection[str]], bool]:
    return lambda names: 0 < len(names) <= len(allowed) and all(name in allowed for name in names)


#: The first that fits is right: some hold names of others.
KINDS: Final = (
    Kind(
        "a LoRA or one of its relatives",
        "It changes a model and is none: give the model that it is for.",
        _contains(
            r"(\.|_)(lora_(up|down|A|B|mid)|lora\.(up|down)|hada_w[12]_[ab]|lokr_w[12](_[ab])?|oft_blocks)"
            r"(\.|$)|\.dora_scale$|^lora_(unet|te\d?)_|\.glora_|\.ia3_"
        ),
    ),
    Kind(
        "an embedding (textual inversion)",
        "It is a word for a model and no model.",
        _only("emb_params", "clip_l", "clip_g", "string_to_param", "*", "<*>"),
    ),
    Kind(
        "an IP-Adapter",
        "It steers a model and is none.",
        _contains(r"^(image_proj|ip_adapter)\.|\.(to_k_ip|to_v_ip)\."),
    ),
    Kind(
        "a ControlNet",
        "It steers a model and is none: give it with --control-model.",
        _contains(r"^control_model\.|^input_hint_block\.|^controlnet_(cond|down|mid)|^zero_convs\."),
    ),
    Kind(
        "a T2I-Adapter",
        "It steers a model and is none: give it with --control-model.",
        _contains(r"^(adapter\.)?body\.\d+\.(in_conv|block1|resnets\.)"),
    ),
    Kind(
        "a motion module (AnimateDiff)", "It moves the pictures of a model.", _contains(r"motion_modules\.")
    ),
    Kind(
        "Stable Diffusion 3",
        "It is not read from one file: give the diffusers folder, the one with model_index.json.",
        _contains(r"(^|\.)joint_blocks\.\d+\.(context|x)_block\."),
    ),
    Kind("Flux", NEVER, _contains(r"(^|\.)(double_blocks|single_transformer_blocks)\.\d+\.")),
    Kind(
        "a UNet in diffusers' layout alone",
        "Give the whole diffusers folder, the one with model_index.json.",
        _begins("down_blocks.0.", "conv_in.", "time_embedding."),
    ),
    Kind(
        "an autoencoder (VAE) alone",
        "Give the whole model; sfumato convert MODEL OUT --vae FILE puts this one into it.",
        _contains(r"^(first_stage_model\.)?(encoder|decoder)\.conv_in\.weight$"),
    ),
    Kind(
        "a UNet alone, without text encoder and autoencoder",
        "Give the whole model: what this one leaves out is not the same in all.",
        _contains(r"^(model\.diffusion_model\.)?input_blocks\.0\.0\.weight$"),
    ),
    Kind(
        "a tiny autoencoder (TAESD)",
        "It makes previews of a model: put it into the folder tiny_decoder of a diffusers folder.",
        _contains(r"^(decoder\.|encoder\.|taesd_decoder\.)?\d+\.conv\.0\.weight$"),
    ),
    Kind(
        "a text encoder alone",
        "Give the whole model.",
        _contains(r"(^|\.)(encoder\.layers|transformer\.resblocks|encoder\.block)\.0\."),
    ),
    Kind(
        "an upscaler",
        "Give it to sfumato upscale --network.",
        _contains(r"^(model\.0\.weight|conv_first\.weight|body\.0\.rdb1)|\.RDB1\."),
    ),
    Kind(
        "a diffusion transformer",
        NEVER,
        _contains(r"(^|\.)(transformer_blocks|blocks|layers)\.\d+\.(attn1?|self_attn|attention|norm1)\."),
    ),
    Kind("a hypernetwork", "It changes a model and is none.", _contains(r"^\d{3,4}\.(0\.)?linear\.")),
)


def kind_of(names: Iterable[str]) -> Kind | None:
    """Return what a file with tensors of these names is; None for a stranger."""
    there = frozenset(names)
    return next((kind for kind in KINDS if kind.tells(there)), None)
