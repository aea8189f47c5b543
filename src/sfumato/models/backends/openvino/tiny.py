"""The decoder of diffusers' AutoencoderTiny as a graph: previews."""

from collections.abc import Sequence
from typing import Any

from sfumato.models.backends.openvino.layers import numbers, output_of, upsample
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Node, Weights
from sfumato.models.network_files import Config
from sfumato.models.tiny_decoder_files import TINY_DECODER_DEFAULTS

_CLAMP = 3.0  # beyond about this many deviations latents are cut off softly


def build_tiny_decoder(weights: Weights, config: Config, shape: Sequence[int]) -> Any:
    """Return the tiny decoder as an openvino model: latents of `shape` `(B,C,h,w)`, of unit variance, to
    pixels `(B,3,H,W)`.

    diffusers numbers its layers in one sequence in which activations and upsampling count as well.
    """
    whole = {**TINY_DECODER_DEFAULTS, **config}
    counts = whole["num_decoder_blocks"]
    z = op.parameter(list(shape), ov.Type.f32, name="latents")
    z.output(0).get_tensor().set_names({"latents"})
    scaled = op.add(op.divide(z, numbers(whole["scaling_factor"])), numbers(whole["shift_factor"]))
    clamped = op.multiply(op.tanh(op.divide(scaled, numbers(_CLAMP))), numbers(_CLAMP))
    h = op.relu(_conv(weights, clamped, "decoder.layers.0"))
    number = 2
    for level, count in enumerate(counts):
        for _ in range(count):
            h = _block(weights, h, f"decoder.layers.{number}.conv")
            number += 1
        if level < len(counts) - 1:
            h = upsample(h)
            number += 1
        h = _conv(weights, h, f"decoder.layers.{number}")
        number += 1
    h = op.subtract(op.multiply(h, numbers(2.0)), numbers(1.0))  # from [0, 1]
    output_of(h).get_tensor().set_names({"output"})
    return ov.Model([op.result(h)], [z], "tiny_decoder")


def _block(weights: Weights, x: Node, name: str) -> Node:
    y = op.relu(_conv(weights, x, f"{name}.0"))
    y = op.relu(_conv(weights, y, f"{name}.2"))
    return op.relu(op.add(_conv(weights, y, f"{name}.4"), x))


def _conv(weights: Weights, x: Node, name: str) -> Node:
    y = op.convolution(x, weights.kernel(f"{name}.weight"), [1, 1], [1, 1], [1, 1], [1, 1])
    bias = f"{name}.bias"
    return op.add(y, weights.vector(bias, (1, -1, 1, 1))) if bias in weights else y
