"""Which models the graph builder can build. Looks at configurations only: openvino is not imported."""

from collections.abc import Mapping
from typing import Any, Final

from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import is_transformer
from sfumato.models.network_files import NetworkFiles

# What diffusers and transformers assume where a configuration is silent, and what of it can be built. A value
# that is not among these belongs to a network of another kind.
_UNET: Final[Mapping[str, tuple[Any, tuple[Any, ...]]]] = {
    "act_fn": ("silu", ("silu", "swish")),
    "addition_embed_type": (None, (None, "text_time")),
    "attention_type": ("default", ("default",)),
    "center_input_sample": (False, (False,)),
    "class_embed_type": (None, (None,)),
    "conv_in_kernel": (3, (3,)),
    "conv_out_kernel": (3, (3,)),
    "cross_attention_norm": (None, (None,)),
    "downsample_padding": (1, (1,)),
    "dual_cross_attention": (False, (False,)),
    "encoder_hid_dim": (None, (None,)),
    "encoder_hid_dim_type": (None, (None,)),
    "mid_block_only_cross_attention": (None, (None, False)),
    "mid_block_scale_factor": (1, (1,)),
    "mid_block_type": ("UNetMidBlock2DCrossAttn", ("UNetMidBlock2DCrossAttn", None)),
    "num_class_embeds": (None, (None,)),
    "resnet_out_scale_factor": (1.0, (1,)),
    "resnet_skip_time_act": (False, (False,)),
    "resnet_time_scale_shift": ("default", ("default",)),
    "time_embedding_act_fn": (None, (None,)),
    "time_embedding_type": ("positional", ("positional",)),
    "timestep_post_act": (None, (None,)),
}
_VAE: Final[Mapping[str, tuple[Any, tuple[Any, ...]]]] = {"act_fn": ("silu", ("silu", "swish"))}
_TEXT: Final[Mapping[str, tuple[Any, tuple[Any, ...]]]] = {
    "hidden_act": ("quick_gelu", ("quick_gelu", "gelu"))
}
_BLOCKS: Final = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_VAE_BLOCKS: Final = {
    "down_block_types": ("DownEncoderBlock2D",),
    "up_block_types": ("UpDecoderBlock2D",),
}


def unsupported(files: ModelFiles) -> str | None:
    """Return why the compiled backend cannot run this model, as one sentence without a full stop; None when
    it can.
    """
    return (
        _transformer(files)
        or _pooled(files)
        or _unknown(files.unet, _UNET)
        or _unknown_blocks(files.unet, _BLOCKS)
        or _only_cross(files.unet)
        or _unknown(files.vae, _VAE)
        or _unknown_blocks(files.vae, _VAE_BLOCKS)
        or _unknown(files.text_encoder, _TEXT)
    )


def _transformer(files: ModelFiles) -> str | None:
    if is_transformer(files.unet):
        return "its network is a transformer, and graphs of UNets are built"
    return None


def _pooled(files: ModelFiles) -> str | None:
    if files.unet.config.get("addition_embed_type") == "text_time":
        return "its unet is told a pooled text, and the compiled text encoders make none"
    return None


def _unknown(network: NetworkFiles, known: Mapping[str, tuple[Any, tuple[Any, ...]]]) -> str | None:
    for key, (default, values) in known.items():
        value = network.config.get(key, default)
        if not any(value == one for one in values):
            return f"its {network.name} has {key} {value!r}"
    return None


def _unknown_blocks(network: NetworkFiles, known: Mapping[str, tuple[str, ...]]) -> str | None:
    for key, names in known.items():
        blocks = network.config.get(key)
        if not isinstance(blocks, list) or not blocks:
            return f"its {network.name} names no {key}"
        for name in blocks:
            if name not in names:
                return f"its {network.name} has a {name}"
    return None


def _only_cross(unet: NetworkFiles) -> str | None:
    value = unet.config.get("only_cross_attention", False)
    if any(value if isinstance(value, list) else [value]):
        return "its unet attends to nothing but the text in some blocks (only_cross_attention)"
    return None
