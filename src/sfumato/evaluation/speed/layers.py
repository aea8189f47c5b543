"""The layers of Stable Diffusion's networks, listed from their configurations.

One list serves twice: its shapes make random weights of a real model's size, and its work is what one call
costs. Names and shapes are those of diffusers and transformers; networks of Stable Diffusion 1's and 2's kind
are covered.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Literal

Place = Literal["pixel", "token", "picture"]

_FIRST: Final = 3  # pixels have three channels
_MULTIPLE: Final = 4  # how much wider the time embedding and the feed-forward layers are


@dataclass(frozen=True)
class Layer:
    """A layer with the tensor `name`.weight of `shape` and, where `bias`, `name`.bias of its first side.

    It runs once for every `place`: for every pixel of a grid that was halved `level` times, for every token,
    or once for a picture. Norms have one side, embeddings (rows looked up) no place.
    """

    name: str
    shape: tuple[int, ...]
    place: Place | None = "pixel"
    level: int = 0
    bias: bool = True


@dataclass(frozen=True)
class Attention:
    """The two matrix products of an attention `width` wide: every `place` looks at every one of `keys`."""

    name: str
    width: int
    place: Place = "pixel"
    keys: Place = "pixel"
    level: int = 0


Part = Layer | Attention
Config = dict[str, Any]


def flops(parts: Iterable[Part], rows: int, height: int, width: int, tokens: int) -> int:
    """Return the operations of one call with `rows` rows, two for each multiplication and its addition.

    `height` and `width` are those of the finest grid: latents of a UNet, pixels of an autoencoder. Norms and
    activations are not counted.
    """

    def count(place: Place, level: int) -> int:
        return {"pixel": (height >> level) * (width >> level), "token": tokens, "picture": 1}[place]

    total = 0
    for part in parts:
        if isinstance(part, Attention):
            total += 4 * part.width * count(part.place, part.level) * count(part.keys, part.level)
        elif part.place is not None and len(part.shape) > 1:
            total += 2 * prod(part.shape) * count(part.place, part.level)
    return rows * total


def unet(config: Config) -> Iterator[Part]:
    """List the parts of a UNet2DConditionModel."""
    channels: list[int] = config["block_out_channels"]
    depth: int = config["layers_per_block"]
    time = _MULTIPLE * channels[0]
    last = len(channels) - 1
    context: int = config["cross_attention_dim"]
    linear = bool(config.get("use_linear_projection", False))
    yield Layer("conv_in", (channels[0], config["in_channels"], 3, 3))
    yield Layer("time_embedding.linear_1", (time, channels[0]), "picture")
    yield Layer("time_embedding.linear_2", (time, time), "picture")
    now, skips = channels[0], [channels[0]]
    for level, width in enumerate(channels):
        name = f"down_blocks.{level}"
        for layer in range(depth):
            yield from _resnet(f"{name}.resnets.{layer}", now, width, level, time)
            now = width
            if config["down_block_types"][level] == "CrossAttnDownBlock2D":
                yield from _transformer(f"{name}.attentions.{layer}", width, context, level, linear)
            skips.append(width)
        if level < last:
            yield Layer(f"{name}.downsamplers.0.conv", (width, width, 3, 3), level=level + 1)
            skips.append(width)
    yield from _resnet("mid_block.resnets.0", now, now, last, time)
    yield from _transformer("mid_block.attentions.0", now, context, last, linear)
    yield from _resnet("mid_block.resnets.1", now, now, last, time)
    for number, width in enumerate(reversed(channels)):
        name, level = f"up_blocks.{number}", last - number
        for layer in range(depth + 1):
            yield from _resnet(f"{name}.resnets.{layer}", now + skips.pop(), width, level, time)
            now = width
            if config["up_block_types"][number] == "CrossAttnUpBlock2D":
                yield from _transformer(f"{name}.attentions.{layer}", width, context, level, linear)
        if number < last:
            yield Layer(f"{name}.upsamplers.0.conv", (width, width, 3, 3), level=level - 1)
    yield Layer("conv_norm_out", (now,))
    yield Layer("conv_out", (config["out_channels"], now, 3, 3))


def encoder(config: Config) -> Iterator[Part]:
    """List the parts of an AutoencoderKL that encode."""
    channels: list[int] = config["block_out_channels"]
    latents: int = config["latent_channels"]
    last = len(channels) - 1
    now = channels[0]
    yield Layer("encoder.conv_in", (now, _FIRST, 3, 3))
    for level, width in enumerate(channels):
        name = f"encoder.down_blocks.{level}"
        for layer in range(config["layers_per_block"]):
            yield from _resnet(f"{name}.resnets.{layer}", now, width, level)
            now = width
        if level < last:
            yield Layer(f"{name}.downsamplers.0.conv", (width, width, 3, 3), level=level + 1)
    yield from _middle("encoder", now, last)
    yield Layer("encoder.conv_norm_out", (now,))
    yield Layer("encoder.conv_out", (2 * latents, now, 3, 3), level=last)
    yield Layer("quant_conv", (2 * latents, 2 * latents, 1, 1), level=last)


def decoder(config: Config) -> Iterator[Part]:
    """List the parts of an AutoencoderKL that decode."""
    channels: list[int] = config["block_out_channels"]
    latents: int = config["latent_channels"]
    last = len(channels) - 1
    now = channels[-1]
    yield Layer("post_quant_conv", (latents, latents, 1, 1), level=last)
    yield Layer("decoder.conv_in", (now, latents, 3, 3), level=last)
    yield from _middle("decoder", now, last)
    for number, width in enumerate(reversed(channels)):
        name, level = f"decoder.up_blocks.{number}", last - number
        for layer in range(config["layers_per_block"] + 1):
            yield from _resnet(f"{name}.resnets.{layer}", now, width, level)
            now = width
        if number < last:
            yield Layer(f"{name}.upsamplers.0.conv", (width, width, 3, 3), level=level - 1)
    yield Layer("decoder.conv_norm_out", (now,))
    yield Layer("decoder.conv_out", (_FIRST, now, 3, 3))


def text_encoder(config: Config) -> Iterator[Part]:
    """List the parts of a CLIPTextModel."""
    width: int = config["hidden_size"]
    inner: int = config["intermediate_size"]
    embeddings = "text_model.embeddings"
    yield Layer(f"{embeddings}.token_embedding", (config["vocab_size"], width), None, bias=False)
    yield Layer(
        f"{embeddings}.position_embedding", (config["max_position_embeddings"], width), None, bias=False
    )
    for number in range(config["num_hidden_layers"]):
        name = f"text_model.encoder.layers.{number}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield Layer(f"{name}.self_attn.{part}", (width, width), "token")
        yield Attention(f"{name}.self_attn", width, "token", "token")
        yield Layer(f"{name}.layer_norm1", (width,))
        yield Layer(f"{name}.layer_norm2", (width,))
        yield Layer(f"{name}.mlp.fc1", (inner, width), "token")
        yield Layer(f"{name}.mlp.fc2", (width, inner), "token")
    yield Layer("text_model.final_layer_norm", (width,))


def _resnet(name: str, inputs: int, width: int, level: int, time: int | None = None) -> Iterator[Part]:
    yield Layer(f"{name}.norm1", (inputs,))
    yield Layer(f"{name}.conv1", (width, inputs, 3, 3), level=level)
    if time is not None:
        yield Layer(f"{name}.time_emb_proj", (width, time), "picture")
    yield Layer(f"{name}.norm2", (width,))
    yield Layer(f"{name}.conv2", (width, width, 3, 3), level=level)
    if inputs != width:
        yield Layer(f"{name}.conv_shortcut", (width, inputs, 1, 1), level=level)


def _transformer(name: str, width: int, context: int, level: int, linear: bool) -> Iterator[Part]:
    projection = (width, width) if linear else (width, width, 1, 1)
    block = f"{name}.transformer_blocks.0"
    yield Layer(f"{name}.norm", (width,))
    yield Layer(f"{name}.proj_in", projection, level=level)
    kinds: tuple[tuple[int, int, Place], ...] = ((1, width, "pixel"), (2, context, "token"))
    for number, inputs, keys in kinds:
        attention = f"{block}.attn{number}"
        yield Layer(f"{block}.norm{number}", (width,))
        yield Layer(f"{attention}.to_q", (width, width), level=level, bias=False)
        for part in ("to_k", "to_v"):
            yield Layer(f"{attention}.{part}", (width, inputs), keys, level, bias=False)
        yield Attention(attention, width, "pixel", keys, level)
        yield Layer(f"{attention}.to_out.0", (width, width), level=level)
    yield Layer(f"{block}.norm3", (width,))
    inner = _MULTIPLE * width
    yield Layer(f"{block}.ff.net.0.proj", (2 * inner, width), level=level)
    yield Layer(f"{block}.ff.net.2", (width, inner), level=level)
    yield Layer(f"{name}.proj_out", projection, level=level)


def _middle(name: str, width: int, level: int) -> Iterator[Part]:
    yield from _resnet(f"{name}.mid_block.resnets.0", width, width, level)
    attention = f"{name}.mid_block.attentions.0"
    yield Layer(f"{attention}.group_norm", (width,))
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        yield Layer(f"{attention}.{part}", (width, width), level=level)
    yield Attention(attention, width, level=level)
    yield from _resnet(f"{name}.mid_block.resnets.1", width, width, level)
