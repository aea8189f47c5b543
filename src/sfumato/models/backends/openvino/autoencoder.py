"""diffusers' AutoencoderKL as two graphs, an encoder and a decoder."""

from collections.abc import Sequence
from typing import Any

from sfumato.models.backends.openvino.layers import Layers, attend, output_of, picture, sequence, upsample
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Node, Weights
from sfumato.models.network_files import Config

EPS = 1e-6  # of the group norms of every published AutoencoderKL


def build_decoder(weights: Weights, config: Config, shape: Sequence[int]) -> Any:
    """Return the decoder as an openvino model: latents of `shape` `(B,C,h,w)`, as the VAE has them, to pixels
    `(B,3,H,W)`.
    """
    layers = Layers(weights, config.get("norm_num_groups", 32))
    z = op.parameter(list(shape), ov.Type.f32, name="latents")
    h = layers.conv(z, "post_quant_conv") if config.get("use_post_quant_conv", True) else z
    h = _middle(layers, layers.conv(h, "decoder.conv_in"), "decoder", config)
    levels = len(config["block_out_channels"])
    for level in range(levels):
        for layer in range(config.get("layers_per_block", 1) + 1):
            h = layers.resnet(h, None, f"decoder.up_blocks.{level}.resnets.{layer}", EPS)
        if level < levels - 1:
            h = layers.conv(upsample(h), f"decoder.up_blocks.{level}.upsamplers.0.conv")
    h = op.swish(layers.group_norm(h, "decoder.conv_norm_out", EPS))
    return _model(layers.conv(h, "decoder.conv_out"), z, "decoder")


def build_encoder(weights: Weights, config: Config, shape: Sequence[int]) -> Any:
    """Return the encoder as an openvino model: pixels of `shape` `(B,3,H,W)` to the mean latents
    `(B,C,h,w)`.
    """
    layers = Layers(weights, config.get("norm_num_groups", 32))
    x = op.parameter(list(shape), ov.Type.f32, name="pixels")
    h = layers.conv(x, "encoder.conv_in")
    levels = len(config["block_out_channels"])
    for level in range(levels):
        for layer in range(config.get("layers_per_block", 1)):
            h = layers.resnet(h, None, f"encoder.down_blocks.{level}.resnets.{layer}", EPS)
        if level < levels - 1:
            h = layers.conv(h, f"encoder.down_blocks.{level}.downsamplers.0.conv", stride=2, after=1)
    h = _middle(layers, h, "encoder", config)
    h = op.swish(layers.group_norm(h, "encoder.conv_norm_out", EPS))
    h = layers.conv(h, "encoder.conv_out")
    h = layers.conv(h, "quant_conv") if config.get("use_quant_conv", True) else h
    mean = op.split(h, op.constant(1), 2).output(0)  # the other half is the logarithm of the variance
    return _model(mean, x, "encoder")


def _middle(layers: Layers, h: Node, name: str, config: Config) -> Node:
    h = layers.resnet(h, None, f"{name}.mid_block.resnets.0", EPS)
    if config.get("mid_block_add_attention", True):
        h = op.add(h, _attention(layers, h, f"{name}.mid_block.attentions.0"))
    return layers.resnet(h, None, f"{name}.mid_block.resnets.1", EPS)


def _attention(layers: Layers, x: Node, name: str) -> Node:
    """Attention of a picture to itself, with one head."""
    flat = sequence(layers.group_norm(x, f"{name}.group_norm", EPS))
    q, k, v = (layers.linear(flat, f"{name}.{part}") for part in ("to_q", "to_k", "to_v"))
    return picture(layers.linear(attend(q, k, v, 1), f"{name}.to_out.0"), x)


def _model(output: Node, parameter: Node, name: str) -> Any:
    output_of(output).get_tensor().set_names({"output"})
    return ov.Model([op.result(output)], [parameter], name)
