"""diffusers' T2IAdapter as a graph: a picture folded into channels, and a few convolutions for each size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.control import HintShape
from sfumato.models.backends.openvino.layers import Layers
from sfumato.models.backends.openvino.networks import Graph, Network, is_small
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.unet import named
from sfumato.models.backends.openvino.weights import Node, Weights, weights_of
from sfumato.models.controlnets import ControlFiles, faults_of_control
from sfumato.models.network_files import Config
from sfumato.models.original.t2i_adapter import FULL, LIGHT

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OpenVinoT2I:
    """`FeatureNetwork` on openvino, with numpy arrays."""

    files: ControlFiles
    network: Network

    def features(self, hint: Floats) -> tuple[Floats, ...]:
        folded = self.files.network.config["downscale_factor"]
        # Latents of an odd side become half of the next even one inside the UNet.
        more = [(0, 0), (0, 0), *((0, -side % folded) for side in hint.shape[2:])]
        whole = np.pad(hint, more, "edge") if any(map(any, more)) else hint
        graph = self.graph(HintShape(whole.shape[0], *whole.shape[2:]))
        with faults_of_control():
            return tuple(self.network.run(graph, {"hint": whole}))

    def graph(self, hint: HintShape) -> Graph:
        """Return the graph for hints of this shape: of large networks one for all."""
        of = self.files.network
        shape = hint if is_small(of) else HintShape()

        def build() -> tuple[Any, Weights]:
            weights = weights_of(of)
            model = build_t2i(weights, of.config, shape)
            weights.check_all_taken()
            return model, weights

        return Graph(shape, build, hasty=is_small(of))


def build_t2i(weights: Weights, config: Config, hint: HintShape) -> Any:
    """Return the adapter of this (whole) configuration as an openvino model.

    Input: `hint (n,C,H,W)`, whose sides are multiples of the configuration's downscale_factor. Outputs:
    `feature_0`, `feature_1`, ... Raises ModelFileError for weights that do not fit.
    """
    picture = op.parameter([hint.rows, config["in_channels"], hint.height, hint.width], ov.Type.f32)
    h = op.space_to_depth(named(picture, "hint"), "depth_first", config["downscale_factor"])
    layers, kind = Layers(weights, 1), config["adapter_type"]
    if kind != LIGHT:
        h = layers.conv(h, "adapter.conv_in")
    made: list[Node] = []
    for at in range(len(config["channels"]) + (kind == LIGHT)):
        name = f"adapter.body.{at}"
        # Of the large one only the third makes it smaller.
        if at > 0 if kind in (FULL, LIGHT) else at == 2:
            h = op.avg_pool(h, [2, 2], [0, 0], [0, 0], [2, 2], True, "ceil")
        if f"{name}.in_conv.weight" in weights:
            h = layers.conv(h, f"{name}.in_conv")
        for place in range(config["num_res_blocks"]):
            block = f"{name}.resnets.{place}"
            more = layers.conv(op.relu(layers.conv(h, f"{block}.block1")), f"{block}.block2")
            h = op.add(h, more)
        if kind == LIGHT:
            h = layers.conv(h, f"{name}.out_conv")
        made.append(h)
    results = [op.result(named(one, f"feature_{at}")) for at, one in enumerate(made)]
    return ov.Model(results, [picture], "t2i_adapter")
