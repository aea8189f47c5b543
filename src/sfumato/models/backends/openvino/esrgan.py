"""ESRGAN's network as a graph, over the tensors of its file."""

from collections.abc import Sequence
from typing import Any, Final

from sfumato.models.backends.openvino.layers import Layers, numbers, output_of, upsample
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Node, Weights
from sfumato.models.esrgan import EsrganFile

SHARE: Final = 0.2  # of what a block makes, that is added; Wang et al. 2018, Section 3.1
SLOPE: Final = 0.2  # of the leaky rectifiers


def build_esrgan(weights: Weights, file: EsrganFile, shape: Sequence[int]) -> Any:
    """Return the network as an openvino model: pictures of `shape` `(B,3,h,w)` in [-1, 1] to pictures
    `(B,3,f*h,f*w)`, about [-1, 1] and not clipped, where f is the factor of the file's shape. h and w are
    multiples of its `fold`.
    """
    layers = Layers(weights, groups=1)  # it has no norms

    def leaky(x: Node, name: str) -> Node:
        return op.prelu(layers.conv(x, name), numbers([SLOPE]))

    pictures = op.parameter(list(shape), ov.Type.f32, name="pictures")
    pictures.output(0).get_tensor().set_names({"pictures"})
    # Such networks take and give numbers in [0, 1].
    x = op.add(op.multiply(pictures, numbers(0.5)), numbers(0.5))
    if file.shape.fold > 1:
        # Channels in torch's order: all of one colour's places in a block, then the next colour's.
        x = op.space_to_depth(x, "depth_first", file.shape.fold)
    begun = h = layers.conv(x, file.first)
    for block in file.dense:
        entered = h
        for convolutions in block:
            known = [h]
            for name in convolutions[:-1]:
                known.append(leaky(op.concat(known, 1) if len(known) > 1 else h, name))
            h = op.add(op.multiply(layers.conv(op.concat(known, 1), convolutions[-1]), numbers(SHARE)), h)
        h = op.add(op.multiply(h, numbers(SHARE)), entered)
    h = op.add(begun, layers.conv(h, file.merge))
    for name in file.doubling:
        h = leaky(upsample(h), name)
    result = layers.conv(leaky(h, file.large), file.last)
    result = op.subtract(op.multiply(result, numbers(2.0)), numbers(1.0))
    output_of(result).get_tensor().set_names({"output"})
    return ov.Model([op.result(result)], [pictures], "esrgan")
