"""transformers' CLIPTextModel as a graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sfumato.models.backends.openvino.layers import (
    GELU_FACTOR,
    Layers,
    attend,
    axis,
    numbers,
    output_of,
    whole,
)
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Node, Weights
from sfumato.models.network_files import Config


def _quick_gelu(x: Node) -> Node:
    return op.multiply(x, op.sigmoid(op.multiply(x, numbers(GELU_FACTOR))))


def _gelu(x: Node) -> Node:
    return op.gelu(x, "ERF")


ACTIVATIONS: Mapping[str, Callable[[Node], Node]] = {"quick_gelu": _quick_gelu, "gelu": _gelu}


def build_text_encoder(weights: Weights, config: Config, shape: Sequence[int], skipped: int = 0) -> Any:
    """Return the text encoder as an openvino model: tokens of `shape` `(N,T)`, int64, to the last hidden
    states `(N,T,D)` after the final layer norm. T is known: it is the length of a chunk. So
    many of the last layers are `skipped`, but not the final norm.
    """
    rows, length = shape
    layers = Layers(weights, groups=1)
    eps = config.get("layer_norm_eps", 1e-5)
    heads = config.get("num_attention_heads", 8)
    activation = ACTIVATIONS[config.get("hidden_act", "quick_gelu")]
    ids = op.parameter([rows, length], ov.Type.i64, name="ids")
    h = op.add(
        _looked_up(weights, "embeddings.token_embedding.weight", ids),
        _looked_up(weights, "embeddings.position_embedding.weight", whole(*range(length))),
    )
    for number in range(config.get("num_hidden_layers", 12) - skipped):
        name = f"encoder.layers.{number}"
        n = layers.layer_norm(h, f"{name}.layer_norm1", eps)
        q, k, v = (layers.linear(n, f"{name}.self_attn.{part}_proj") for part in "qkv")
        mixed = attend(q, k, v, heads, causal=True)
        h = op.add(h, layers.linear(mixed, f"{name}.self_attn.out_proj"))
        n = layers.layer_norm(h, f"{name}.layer_norm2", eps)
        n = layers.linear(activation(layers.linear(n, f"{name}.mlp.fc1")), f"{name}.mlp.fc2")
        h = op.add(h, n)
    h = layers.layer_norm(h, "final_layer_norm", eps)
    output_of(h).get_tensor().set_names({"output"})
    return ov.Model([op.result(h)], [ids], "text_encoder")


def _looked_up(weights: Weights, name: str, rows: Node) -> Node:
    return op.convert(op.gather(weights.table(name), rows, axis(0)), "f32")
