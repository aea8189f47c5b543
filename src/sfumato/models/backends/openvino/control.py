"""diffusers' ControlNetModel as a graph: the down half of a UNet, which also sees a picture as a hint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.backends.openvino.graphs import HASTY_ROWS
from sfumato.models.backends.openvino.layers import Layers
from sfumato.models.backends.openvino.networks import Graph, Network, is_small
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.unet import (
    DYNAMIC,
    DownHalf,
    UNetShape,
    added_features,
    named,
    time_features,
)
from sfumato.models.backends.openvino.weights import Node, Weights, weights_of
from sfumato.models.controlnets import DEFAULTS, ControlFiles, faults_of_control
from sfumato.models.network_files import Config

HINT_CHANNELS: Final = 3

Floats = NDArray[np.float32]

# What diffusers assumes where a configuration is silent, and what of it can be built; see `support`.
_BUILT: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "act_fn": ("silu", ("silu", "swish")),
    "downsample_padding": (1, (1,)),
    "mid_block_scale_factor": (1, (1,)),
    "mid_block_type": ("UNetMidBlock2DCrossAttn", ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D")),
    "only_cross_attention": (False, (False,)),
    "resnet_time_scale_shift": ("default", ("default",)),
}
_BLOCKS: Final = ("DownBlock2D", "CrossAttnDownBlock2D")


@dataclass(frozen=True)
class HintShape:
    """For how many rows of hints a graph is built, and how high and wide they are; any may be DYNAMIC."""

    rows: int = DYNAMIC
    height: int = DYNAMIC
    width: int = DYNAMIC


@dataclass(frozen=True, eq=False)
class OpenVinoControl:
    """`ControlNetwork` on openvino, with numpy arrays. Build it with `open_control`."""

    files: ControlFiles
    config: Config
    network: Network
    int8: bool

    def residuals(
        self, x: Floats, t: float, context: Floats, hint: Floats, scale: float, extra: Extra = NOTHING
    ) -> tuple[tuple[Floats, ...], Floats]:
        inputs = {"x": x, "time": time_features(t, self.config), "context": context, "hint": hint}
        if extra.pooled is not None and extra.time_ids is not None:
            inputs["added"] = added_features(extra.pooled, extra.time_ids, self.config)
        rows, _, height, width = x.shape
        shape = UNetShape(rows, height, width, context.shape[1])
        graph = self.graph(shape, HintShape(hint.shape[0], *hint.shape[2:]))
        with faults_of_control():
            *down, mid = self.network.run(graph, inputs)
        return tuple(np.float32(scale) * one for one in down), np.float32(scale) * mid

    def graph(self, shape: UNetShape, hint: HintShape) -> Graph:
        """Return the graph for these shapes: of large networks one for all."""
        small = is_small(self.files.network)
        sides = (shape, hint) if small else (UNetShape(), HintShape())

        def build() -> tuple[Any, Weights]:
            weights = weights_of(self.files.network, int8=self.int8)
            model = build_control(weights, self.config, *sides)
            weights.check_all_taken()
            return model, weights

        return Graph(sides, build, hasty=small and shape.rows <= HASTY_ROWS)


def open_control(files: ControlFiles, network: Network, *, int8: bool = False) -> OpenVinoControl:
    """Return a ControlNet whose graphs `network` keeps; with `int8`, its large matrices have eight bits.

    Raises InputError for one that the graph builder cannot build.
    """
    config = {**DEFAULTS, **files.network.config}
    fault = _unbuilt(config)
    if fault is not None:
        raise InputError(
            f"the compiled backend cannot run this ControlNet: it has {fault}",
            field="control",
            value=str(files.folder),
            hint="Use the backend torch.",
        )
    return OpenVinoControl(files, config, network, int8)


def build_control(weights: Weights, config: Config, shape: UNetShape, hint: HintShape) -> Any:
    """Return the ControlNet as an openvino model.

    Inputs: `x (B,C,h,w)`, `time (1,F)` (see `time_features`), `context (B,T,D)`, `hint (1 or B,3,H,W)` and,
    where the network has them, `added (B,A)`. Outputs: `down_0`, `down_1`, ..., `mid`. Raises ModelFileError
    for weights that do not fit.
    """
    return _Builder(Layers(weights, config.get("norm_num_groups", 32)), config, shape, hint).model()


class _Builder(DownHalf):
    """What the parts of one ControlNet share."""

    def __init__(self, layers: Layers, config: Config, shape: UNetShape, hint: HintShape) -> None:
        super().__init__(layers, config, shape)
        self.hint = self.input("hint", [hint.rows, HINT_CHANNELS, hint.height, hint.width])

    def model(self) -> Any:
        h = op.add(self.layers.conv(self.x, "conv_in"), self._hinted())
        made = [h]
        for level in range(len(self.channels)):
            made += self.down(made[-1], level)
        h = self.middle(made[-1])
        outputs = [
            named(self.layers.conv(skip, f"controlnet_down_blocks.{number}"), f"down_{number}")
            for number, skip in enumerate(made)
        ]
        outputs.append(named(self.layers.conv(h, "controlnet_mid_block"), "mid"))
        return ov.Model([op.result(one) for one in outputs], self.inputs, "controlnet")

    def _hinted(self) -> Node:
        """Return the hint at the size of the latents, with the channels of the first convolution."""
        name = "controlnet_cond_embedding"
        hint = self.hint
        if self.config["controlnet_conditioning_channel_order"] == "bgr":
            hint = op.gather(hint, op.constant(np.array([2, 1, 0])), op.constant(1))
        h = op.swish(self.layers.conv(hint, f"{name}.conv_in"))
        widths: Sequence[int] = self.config["conditioning_embedding_out_channels"]
        for number in range(2 * (len(widths) - 1)):
            # In pairs: one convolution that keeps the size, and one that halves it.
            h = op.swish(self.layers.conv(h, f"{name}.blocks.{number}", stride=1 + number % 2))
        return self.layers.conv(h, f"{name}.conv_out")


def _unbuilt(config: Config) -> str | None:
    """Return what of a configuration cannot be built, None when all of it can."""
    for key, (default, values) in _BUILT.items():
        value = config.get(key, default)
        value = any(value) if key == "only_cross_attention" and isinstance(value, list) else value
        if not any(value == one for one in values):
            return f"{key} {value!r}"
    blocks = config.get("down_block_types")
    if not isinstance(blocks, list) or len(blocks) != len(config["block_out_channels"]):
        return "no usable down_block_types"
    return next((f"a {name}" for name in blocks if name not in _BLOCKS), None)
