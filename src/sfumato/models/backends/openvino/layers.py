"""The layers of Stable Diffusion's networks, as OpenVINO operations.

Each function of `Layers` adds one layer of today's diffusers, with the tensors called `name`, to a graph, and
returns its output. Pictures are `(B,C,h,w)`, sequences `(B,T,D)`. Nothing here depends on batch or size, so
graphs can be built for one shape or for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.runtime import op
from sfumato.models.backends.openvino.weights import Node, Weights

GELU_FACTOR = 1.702  # CLIP's quick approximation, x * sigmoid(1.702 x)


def whole(*numbers: int) -> Node:
    """Return a constant of whole numbers: axes, shapes."""
    return op.constant(np.array(numbers, np.int64))


def axis(number: int) -> Node:
    """Return one axis as a scalar constant."""
    return op.constant(np.array(number, np.int64))


def numbers(values: NDArray[np.float32] | Sequence[float] | float) -> Node:
    """Return a float32 constant."""
    return op.constant(np.asarray(values, np.float32))


@dataclass(frozen=True, eq=False)
class Layers:
    """Layers over the tensors of `weights`; `groups` is the number of groups of every group norm. In layers
    whose name begins with `identity`, every place attends to itself alone.
    """

    weights: Weights
    groups: int
    identity: str | None = field(default=None, kw_only=True)

    def linear(self, x: Node, name: str) -> Node:
        return self.linears(x, name)[0]

    def linears(self, x: Node, *names: str) -> list[Node]:
        """Linear layers of one input."""
        outputs: list[Node] = []
        x, matrices = self.matrices(x, names)
        for name, matrix in zip(names, matrices, strict=True):
            y = op.matmul(x, matrix, False, True)
            bias = f"{name}.bias"
            outputs.append(op.add(y, self.weights.vector(bias)) if bias in self.weights else y)
        return outputs

    def conv(self, x: Node, name: str, *, stride: int = 1, after: int | None = None) -> Node:
        """A convolution that keeps the size (divided by `stride`). `after` is the padding at the right and
        bottom where it differs from that at the left and top, which then is none.
        """
        x, kernel = self.kernel(x, name)
        padding = self.weights.shape(f"{name}.weight")[-1] // 2
        before, after = (padding, padding) if after is None else (0, after)
        y = op.convolution(x, kernel, [stride] * 2, [before] * 2, [after] * 2, [1, 1])
        return op.add(y, self.weights.vector(f"{name}.bias", (1, -1, 1, 1)))

    def matrices(self, x: Node, names: Sequence[str]) -> tuple[Node, list[Node]]:
        """Return what the linear layers `names` of one input multiply: the input, and the matrix of each."""
        return x, [self.weights.matrix(f"{name}.weight") for name in names]

    def kernel(self, x: Node, name: str) -> tuple[Node, Node]:
        """Return what a convolution multiplies: the input, and the kernel."""
        return x, self.weights.kernel(f"{name}.weight")

    def compared(self, x: Node, name: str) -> Node:
        """Return the queries or keys that the linear layer `name` gave, as attention multiplies them."""
        return x

    def group_norm(self, x: Node, name: str, eps: float) -> Node:
        # The general normalisation over a reshaped picture runs faster here than the operation of this name.
        y = op.reshape(x, whole(0, self.groups, -1), True)
        y = op.mvn(y, whole(2), True, eps, "INSIDE_SQRT")
        y = op.reshape(y, shape_of(x), False)
        scale, bias = (self.weights.vector(f"{name}.{part}", (1, -1, 1, 1)) for part in ("weight", "bias"))
        return op.add(op.multiply(y, scale), bias)

    def layer_norm(self, x: Node, name: str, eps: float = 1e-5) -> Node:
        y = op.mvn(x, whole(-1), True, eps, "INSIDE_SQRT")
        scale, bias = (self.weights.vector(f"{name}.{part}") for part in ("weight", "bias"))
        return op.add(op.multiply(y, scale), bias)

    def resnet(self, x: Node, time: Node | None, name: str, eps: float) -> Node:
        """ResnetBlock2D: `time (B or 1, E)` has been through its activation."""
        h = self.conv(op.swish(self.group_norm(x, f"{name}.norm1", eps)), f"{name}.conv1")
        if time is not None:
            shift = op.unsqueeze(self.linear(time, f"{name}.time_emb_proj"), whole(2, 3))
            h = op.add(h, shift)
        h = self.conv(op.swish(self.group_norm(h, f"{name}.norm2", eps)), f"{name}.conv2")
        if f"{name}.conv_shortcut.weight" in self.weights:
            x = self.conv(x, f"{name}.conv_shortcut")
        return op.add(x, h)

    def attention(self, x: Node, context: Node, name: str, heads: int) -> Node:
        """Attention of `x (B,T,D)` to `context (B,S,E)`: diffusers' Attention without its residual."""
        names = [f"{name}.{part}" for part in ("to_q", "to_k", "to_v")]
        if x is context:
            q, k, v = self.linears(x, *names)
            if self.identity is not None and name.startswith(self.identity):
                return self.linear(v, f"{name}.to_out.0")
        else:
            q, (k, v) = self.linear(x, names[0]), self.linears(context, *names[1:])
        q, k = self.compared(q, names[0]), self.compared(k, names[1])
        return self.linear(attend(q, k, v, heads), f"{name}.to_out.0")

    def transformer(self, x: Node, context: Node, name: str, heads: int) -> Node:
        """Transformer2DModel with as many BasicTransformerBlocks as the file holds."""
        shape = self.weights.shape(f"{name}.proj_in.weight")
        convolved = len(shape) == 4  # Stable Diffusion 1; later ones project with matrices
        h = self.group_norm(x, f"{name}.norm", 1e-6)
        h = sequence(self.conv(h, f"{name}.proj_in")) if convolved else self._linear_in(h, name)
        count = 0
        while f"{name}.transformer_blocks.{count}.norm1.weight" in self.weights:
            h = self._block(h, context, f"{name}.transformer_blocks.{count}", heads)
            count += 1
        if convolved:
            h = self.conv(picture(h, x), f"{name}.proj_out")
        else:
            h = picture(self.linear(h, f"{name}.proj_out"), x)
        return op.add(h, x)

    def _linear_in(self, h: Node, name: str) -> Node:
        return self.linear(sequence(h), f"{name}.proj_in")

    def _block(self, h: Node, context: Node, name: str, heads: int) -> Node:
        n = self.layer_norm(h, f"{name}.norm1")
        h = op.add(self.attention(n, n, f"{name}.attn1", heads), h)
        n = self.layer_norm(h, f"{name}.norm2")
        h = op.add(self.attention(n, context, f"{name}.attn2", heads), h)
        n = self.linear(self.layer_norm(h, f"{name}.norm3"), f"{name}.ff.net.0.proj")
        halves = op.split(n, axis(-1), 2)
        n = op.multiply(halves.output(0), op.gelu(halves.output(1), "ERF"))
        return op.add(self.linear(n, f"{name}.ff.net.2"), h)

    def time_mlp(self, features: Node, name: str, extra: Node | None = None) -> Node:
        """TimestepEmbedding: two linear layers with SiLU between; `extra` is added before the first."""
        features = features if extra is None else op.add(features, extra)
        return self.linear(op.swish(self.linear(features, f"{name}.linear_1")), f"{name}.linear_2")


def attend(q: Node, k: Node, v: Node, heads: int, *, causal: bool = False) -> Node:
    """Scaled dot-product attention of `(B,T,heads*E)` queries to `(B,S,heads*E)` keys and values."""
    split = [
        op.transpose(op.reshape(one, whole(0, 0, heads, -1), True), whole(0, 2, 1, 3)) for one in (q, k, v)
    ]
    mixed = op.scaled_dot_product_attention(*split, causal=causal)
    return op.reshape(op.transpose(mixed, whole(0, 2, 1, 3)), whole(0, 0, -1), True)


def sequence(x: Node) -> Node:
    """`(B,C,h,w)` to `(B,h*w,C)`."""
    return op.transpose(op.reshape(x, whole(0, 0, -1), True), whole(0, 2, 1))


def picture(h: Node, like: Node) -> Node:
    """`(B,h*w,C)` to `(B,C,h,w)`, of the size of `like`; its channels may differ from those of `h`."""
    size = op.concat([whole(0, 0), spatial_of(like)], 0)  # zeros: as they are
    return op.reshape(op.transpose(h, whole(0, 2, 1)), size, True)


def shape_of(x: Node) -> Node:
    """Return the shape of `x`: a constant when it is known, else computed by the graph."""
    known = output_of(x).get_partial_shape()
    return whole(*known.to_shape()) if known.is_static else op.shape_of(x)


def spatial_of(x: Node) -> Node:
    """Return the height and width of `x (B,C,h,w)` as two whole numbers."""
    known = output_of(x).get_partial_shape()
    if known[2].is_static and known[3].is_static:
        return whole(known[2].get_length(), known[3].get_length())
    return op.gather(op.shape_of(x), whole(2, 3), axis(0))


def upsample(x: Node, size: Node | None = None) -> Node:
    """Nearest neighbours: twice as large, or of the height and width `size`."""
    how: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
        "axes": whole(2, 3),
    }
    if size is None:
        return op.interpolate(x, numbers([2.0, 2.0]), shape_calculation_mode="scales", **how)
    return op.interpolate(x, size, shape_calculation_mode="sizes", **how)


def output_of(x: Node) -> Node:
    """Return the output of a node that has one, or an output as it is."""
    return x.output(0) if hasattr(x, "output") else x
