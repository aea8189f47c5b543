"""The upscaler of `sfumato.models.upscaler_net` as a graph: the same weights, without torch."""

from collections.abc import Sequence
from typing import Any

from sfumato.models.backends.openvino.layers import Layers, numbers, output_of, whole
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Weights
from sfumato.models.network_files import Config


def build_upscaler(weights: Weights, config: Config, shape: Sequence[int]) -> Any:
    """Return the upscaler as an openvino model: pictures of `shape` `(B,3,h,w)` in [-1, 1] to pictures
    `(B,3,f*h,f*w)`, about [-1, 1] and not clipped, where f is the configuration's `factor`.

    Of what each residual block makes, the configuration's `share` is added.
    """
    factor, share = config["factor"], config["share"]
    layers = Layers(weights, groups=1)  # it has no norms
    pictures = op.parameter(list(shape), ov.Type.f32, name="pictures")
    pictures.output(0).get_tensor().set_names({"pictures"})
    h = layers.conv(pictures, "head")
    for number in range(config["blocks"]):
        inner = op.swish(layers.conv(h, f"blocks.{number}.first"))
        h = op.add(h, op.multiply(layers.conv(inner, f"blocks.{number}.second"), numbers(share)))
    detail = layers.conv(op.swish(layers.conv(h, "merge")), "tail")
    # Channels in torch's order: all of one colour's places in a block, then the next colour's.
    detail = op.depth_to_space(detail, "depth_first", factor)
    enlarged = op.interpolate(
        pictures,
        numbers([float(factor), float(factor)]),
        mode="cubic",
        shape_calculation_mode="scales",
        coordinate_transformation_mode="half_pixel",
        cube_coeff=-0.75,  # torch's bicubic
        axes=whole(2, 3),
    )
    result = op.add(enlarged, detail)
    output_of(result).get_tensor().set_names({"output"})
    return ov.Model([op.result(result)], [pictures], "upscaler")
