"""What tensors are called in original files and in diffusers folders: maps between the two, as plain data.

A map goes from the name of a tensor or a module in a diffusers network to the original one; `rename` carries
a whole list of names over, in either direction. Both layouts hold the same numbers, but for text encoders of
open_clip, whose attention is one matrix (see `texts`), and the autoencoder's attention, a 1x1 convolution.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sfumato.models.original.structure import UNetStructure

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def unet_modules(unet: UNetStructure) -> dict[str, str]:
    """Return the original name of every module of a `UNet2DConditionModel`, by its name in diffusers."""
    names = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    if unet.guidance is not None:
        names["time_embedding.cond_proj"] = "time_embed.cond_proj"
    if unet.pooled is not None:
        names |= {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
    if unet.classes is not None:
        names["class_embedding"] = "label_emb"
    names |= dict(_down(unet))
    if unet.middle is not None:
        names |= dict(resnet_modules("mid_block.resnets.0", "middle_block.0"))
        if unet.middle:
            names["mid_block.attentions.0"] = "middle_block.1"
            names |= dict(resnet_modules("mid_block.resnets.1", "middle_block.2"))
    return names | dict(_up(unet))


def _down(unet: UNetStructure) -> Iterator[tuple[str, str]]:
    number = 1
    for at, level in enumerate(unet.levels):
        for place, depth in enumerate(level.down):
            yield from resnet_modules(f"down_blocks.{at}.resnets.{place}", f"input_blocks.{number}.0")
            if depth:
                yield f"down_blocks.{at}.attentions.{place}", f"input_blocks.{number}.1"
            number += 1
        if at < len(unet.levels) - 1:
            yield f"down_blocks.{at}.downsamplers.0.conv", f"input_blocks.{number}.0.op"
        number += 1


def _up(unet: UNetStructure) -> Iterator[tuple[str, str]]:
    number = 0
    for at, level in enumerate(reversed(unet.levels)):
        for place, depth in enumerate(level.up):
            yield from resnet_modules(f"up_blocks.{at}.resnets.{place}", f"output_blocks.{number}.0")
            if depth:
                yield f"up_blocks.{at}.attentions.{place}", f"output_blocks.{number}.1"
            number += 1
        if at < len(unet.levels) - 1:
            # It stands behind whatever the last block of the level holds.
            behind = 2 if level.up[-1] else 1
            yield f"up_blocks.{at}.upsamplers.0.conv", f"output_blocks.{number - 1}.{behind}.conv"


def resnet_modules(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each module of the residual block `ours` in diffusers, and its original one."""
    for mine, other in _RESNET.items():
        yield f"{ours}.{mine}", f"{theirs}.{other}"


def vae_modules(levels: int, layers: int) -> dict[str, str]:
    """Return the original name of every module of an `AutoencoderKL` of so many `levels` with `layers`
    residual blocks each (one more in the decoder), by its name in diffusers.
    """
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for side in ("encoder", "decoder"):
        for module in ("conv_in", "conv_out"):
            names[f"{side}.{module}"] = f"{side}.{module}"
        names[f"{side}.conv_norm_out"] = f"{side}.norm_out"
        for number in range(2):
            names |= dict(_vae_resnet(f"{side}.mid_block.resnets.{number}", f"{side}.mid.block_{number + 1}"))
        attention = f"{side}.mid_block.attentions.0"
        for mine, theirs in _VAE_ATTENTION.items():
            names[f"{attention}.{mine}"] = f"{side}.mid.attn_1.{theirs}"
    for at in range(levels):
        for place in range(layers):
            names |= dict(
                _vae_resnet(f"encoder.down_blocks.{at}.resnets.{place}", f"encoder.down.{at}.block.{place}")
            )
        if at < levels - 1:
            names[f"encoder.down_blocks.{at}.downsamplers.0.conv"] = f"encoder.down.{at}.downsample.conv"
        other = levels - 1 - at  # the decoder's levels are numbered from the finest
        for place in range(layers + 1):
            names |= dict(
                _vae_resnet(f"decoder.up_blocks.{at}.resnets.{place}", f"decoder.up.{other}.block.{place}")
            )
        if at < levels - 1:
            names[f"decoder.up_blocks.{at}.upsamplers.0.conv"] = f"decoder.up.{other}.upsample.conv"
    return names


_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
#: Weights of these are 1x1 convolutions in original files and matrices in diffusers'.
VAE_MATRICES: Sequence[str] = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight")


def _vae_resnet(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for part in ("norm1", "conv1", "norm2", "conv2"):
        yield f"{ours}.{part}", f"{theirs}.{part}"
    yield f"{ours}.conv_shortcut", f"{theirs}.nin_shortcut"


def open_clip_modules(layers: int) -> dict[str, str]:
    """Return the open_clip name of every module of a CLIP text model of so many `layers`, by its name in
    transformers, but for what is packed: see `PACKED`.
    """
    names = {
        "embeddings.token_embedding": "token_embedding",
        "final_layer_norm": "ln_final",
    }
    for number in range(layers):
        ours, theirs = f"encoder.layers.{number}", f"transformer.resblocks.{number}"
        names |= {
            f"{ours}.layer_norm1": f"{theirs}.ln_1",
            f"{ours}.layer_norm2": f"{theirs}.ln_2",
            f"{ours}.mlp.fc1": f"{theirs}.mlp.c_fc",
            f"{ours}.mlp.fc2": f"{theirs}.mlp.c_proj",
            f"{ours}.self_attn.out_proj": f"{theirs}.attn.out_proj",
        }
    return names


#: In open_clip the queries, keys and values of a layer are one tensor, `attn.in_proj_weight` and `_bias`.
PACKED: Sequence[str] = ("q_proj", "k_proj", "v_proj")


def rename(names: Iterable[str], modules: Mapping[str, str]) -> dict[str, str]:
    """Return the new name of each of `names`, where `modules` maps the longest module it begins with; names
    of no such module are left out.
    """
    renamed: dict[str, str] = {}
    for name in names:
        module = name
        while module:
            if module in modules:
                renamed[name] = modules[module] + name[len(module) :]
                break
            module = module.rpartition(".")[0]
    return renamed


def inverse(modules: Mapping[str, str]) -> dict[str, str]:
    """Return the map of the other direction. Raises ValueError for two modules of one name."""
    turned = {theirs: ours for ours, theirs in modules.items()}
    if len(turned) != len(modules):
        raise ValueError("two modules have the same name")
    return turned
