"""diffusers' UNet2DConditionModel as a graph, whole or only its last layers, as feature caching needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.altered import AS_IT_IS, MIDDLE, Altered, weighed
from sfumato.models.backends.openvino.layers import Layers, output_of, spatial_of, upsample
from sfumato.models.backends.openvino.quantised import ObservedLayers, QuantisedLayers
from sfumato.models.backends.openvino.ranges import Ranges
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Node, Weights
from sfumato.models.network_files import Config

Part = Literal["whole", "both", "shallow"]
DYNAMIC = -1
PERIOD = 10_000  # of the slowest wave of a sinusoidal embedding (Vaswani et al. 2017, Section 3.5)


@dataclass(frozen=True)
class UNetShape:
    """For what a graph is built: rows, latent height and width, tokens. Any of them may be DYNAMIC."""

    rows: int = DYNAMIC
    height: int = DYNAMIC
    width: int = DYNAMIC
    tokens: int = DYNAMIC


def build_unet(
    weights: Weights,
    config: Config,
    shape: UNetShape,
    part: Part = "whole",
    *,
    residuals: bool = False,
    ranges: Ranges | None = None,
    altered: Altered = AS_IT_IS,
) -> Any:
    """Return the UNet as an openvino model.

    `part` "whole" gives `output`; "both" gives `output` and `features`; "shallow" takes `features` and gives
    `output`: see `Backend.predict_reusing` for what they are. Inputs: `x (B,C,h,w)`, `time (1,F)` (see
    `time_features`), `context (B,T,D)` and, where the UNet or the call has them, `added (B,A)`, `guidance
    (1,G)`, `down_0`, `down_1`, ..., `mid`, `inside_0`, ..., `freeu (4,)`. `altered` says which variant it is.
    With `ranges` it multiplies whole numbers of eight bits. Raises ModelFileError for weights that do not
    fit, InputError for ranges that do not.
    """
    groups = _groups(config)
    identity = MIDDLE if altered.perturbed else None
    if ranges is None:
        layers = Layers(weights, groups, identity=identity)
    else:
        layers = QuantisedLayers(weights, groups, ranges, identity=identity)
    return _Builder(layers, config, shape, residuals, altered).model(part)


def build_observed_unet(
    weights: Weights, config: Config, shape: UNetShape, *, residuals: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """Return the whole UNet as an openvino model which also gives, after `output`, what is to be known of its
    layers: for each of the names, the least and the greatest value of every channel, `(2,C)`.
    """
    layers = ObservedLayers(weights, _groups(config), {})
    model = _Builder(layers, config, shape, residuals).model("whole")
    model.add_results([op.result(one) for one in layers.seen.values()])
    return model, tuple(layers.seen)


def time_features(t: float | NDArray[np.float32], config: Config) -> NDArray[np.float32]:
    """Return the sinusoidal embedding `(n,F)` of timesteps `t`, a number or `(n,)`.

    Computed outside of the graph, in double precision: bfloat16 cannot tell neighbouring timesteps apart.
    """
    width = config["block_out_channels"][0]
    return sinusoid(t, width, bool(config.get("flip_sin_to_cos", True)), config.get("freq_shift", 0))


def added_features(
    pooled: NDArray[np.float32], time_ids: NDArray[np.float32], config: Config
) -> NDArray[np.float32]:
    """Return SDXL's added condition `(B,A)`: the pooled text beside the embedding of six sizes."""
    flip, shift = bool(config.get("flip_sin_to_cos", True)), config.get("freq_shift", 0)
    sizes = sinusoid(time_ids.reshape(-1), config["addition_time_embed_dim"], flip, shift)
    return np.concatenate([pooled, sizes.reshape(len(pooled), -1)], axis=1)


def guidance_features(guidance: float, config: Config) -> NDArray[np.float32]:
    """Return the embedding `(1,G)` of a guidance scale, for UNets that are told theirs (Luo et al. 2023)."""
    width = config["time_cond_proj_dim"]
    waves = np.exp(-math.log(PERIOD) / (width // 2 - 1) * np.arange(width // 2)) * (guidance - 1) * 1000
    return np.concatenate([np.sin(waves), np.cos(waves)])[None].astype(np.float32)


def sinusoid(
    t: float | NDArray[np.float32], width: int, cosine_first: bool, shift: float
) -> NDArray[np.float32]:
    """Return waves of `t` `(n,)` in `width` numbers, `(n,width)`, as diffusers' Timesteps does."""
    half = width // 2
    frequencies = np.exp(-math.log(PERIOD) * np.arange(half) / (half - shift))
    angles = np.atleast_1d(np.asarray(t, np.float64))[:, None] * frequencies
    waves = [np.cos(angles), np.sin(angles)] if cosine_first else [np.sin(angles), np.cos(angles)]
    return np.concatenate(waves, axis=1).astype(np.float32)


class DownHalf:
    """What the graphs of a UNet and of a ControlNet begin with: inputs, the time embedding, the down blocks
    and the middle.
    """

    def __init__(self, layers: Layers, config: Config, shape: UNetShape) -> None:
        self.config = config
        self.shape = shape
        self.layers = layers
        self.eps = config.get("norm_eps", 1e-5)
        self.channels: Sequence[int] = config["block_out_channels"]
        self.down_types: Sequence[str] = config["down_block_types"]
        self.depths = per_level(config.get("layers_per_block", 2), len(self.channels))
        # What diffusers calls attention_head_dim has always been the number of heads.
        heads = config.get("num_attention_heads")
        heads = config.get("attention_head_dim", 8) if heads is None else heads
        self.heads = per_level(heads, len(self.channels))
        self.inputs: list[Node] = []
        self.x = self.input("x", [shape.rows, config["in_channels"], shape.height, shape.width])
        self.time = self.input("time", [1, self.channels[0]])
        width = config.get("cross_attention_dim", 1280)
        self.context = self.input("context", [shape.rows, shape.tokens, width])
        self.embedding = self._embedding()

    def input(self, name: str, shape: Sequence[int]) -> Node:
        """Add an input to the graph."""
        node = op.parameter(list(shape), ov.Type.f32, name=name)
        self.inputs.append(named(node, name))
        return node

    def down(self, h: Node, level: int) -> list[Node]:
        """Return what down block `level` makes of `h`: its skip connections, the last of which goes on."""
        made: list[Node] = []
        attends = self.down_types[level] == "CrossAttnDownBlock2D"
        for layer in range(self.depths[level]):
            h = self.layers.resnet(h, self.embedding, f"down_blocks.{level}.resnets.{layer}", self.eps)
            if attends:
                h = self.transformer(h, f"down_blocks.{level}.attentions.{layer}", level)
                h = self.inside(h, level) if layer == self.depths[level] - 1 else h
            made.append(h)
        if level < len(self.channels) - 1:
            made.append(self.layers.conv(h, f"down_blocks.{level}.downsamplers.0.conv", stride=2))
        if not attends:
            made[-1] = self.inside(made[-1], level)
        return made

    def inside(self, h: Node, level: int) -> Node:
        """Return what goes on in down block `level`, or behind the last one in the middle, with what a
        T2I-Adapter adds to it.
        """
        return h

    def middle(self, h: Node) -> Node:
        """Return what the middle makes of `h`; some models have none, some only its first layer."""
        kind = self.config.get("mid_block_type", "UNetMidBlock2DCrossAttn")
        if kind is None:
            return h
        h = self.layers.resnet(h, self.embedding, "mid_block.resnets.0", self.eps)
        if kind == "UNetMidBlock2D":
            return h
        h = self.transformer(h, "mid_block.attentions.0", len(self.channels) - 1)
        return self.layers.resnet(h, self.embedding, "mid_block.resnets.1", self.eps)

    def transformer(self, h: Node, name: str, level: int) -> Node:
        """Return what the attention `name` makes of `h`, with the heads of `level`."""
        return self.layers.transformer(h, self.context, name, self.heads[level])

    def _embedding(self) -> Node:
        """Return what every resnet adds, after its activation: `(1,E)`, or `(B,E)` with added conditions."""
        guided = None
        if self.config.get("time_cond_proj_dim") is not None:
            guidance = self.input("guidance", [1, self.config["time_cond_proj_dim"]])
            guided = self.layers.linear(guidance, "time_embedding.cond_proj")
        embedding = self.layers.time_mlp(self.time, "time_embedding", guided)
        if self.config.get("addition_embed_type") == "text_time":
            added = self.input(
                "added", [self.shape.rows, self.config["projection_class_embeddings_input_dim"]]
            )
            embedding = op.add(embedding, self.layers.time_mlp(added, "add_embedding"))
        return op.swish(embedding)


class _Builder(DownHalf):
    """What the parts of one UNet share."""

    def __init__(
        self,
        layers: Layers,
        config: Config,
        shape: UNetShape,
        residuals: bool,
        altered: Altered = AS_IT_IS,
    ) -> None:
        super().__init__(layers, config, shape)
        self.residuals = residuals
        self.features = altered.inside
        self.freeu = self.input("freeu", [4]) if altered.freeu else None
        self.up_types: Sequence[str] = config["up_block_types"]

    def model(self, part: Part) -> Any:
        levels = range(len(self.channels))
        h = self.layers.conv(self.x, "conv_in")
        skips = [self._steered(h, "down_0")]
        if part == "shallow":
            features = self.input(
                "features", [self.shape.rows, self.channels[0], self.shape.height, self.shape.width]
            )
        else:
            for level in levels:
                made = self.down(h, level)
                h = made[-1]
                skips += [
                    self._steered(skip, f"down_{number}") for number, skip in enumerate(made, len(skips))
                ]
            h = self._steered(self.inside(self.middle(h), len(self.channels)), "mid")
            for level in levels:
                h = self._up(h, level, skips)
            features = h
        h = self._up_layer(features, levels[-1], self.depths[0], skips)
        h = op.swish(self.layers.group_norm(h, "conv_norm_out", self.eps))
        results = [named(self.layers.conv(h, "conv_out"), "output")]
        if part == "both":
            results.append(named(features, "features"))
        return ov.Model([op.result(one) for one in results], self.inputs, "unet")

    def _steered(self, h: Node, name: str) -> Node:
        """Return a skip connection or the middle, with a ControlNet's residual when there is one."""
        return self._added(h, name) if self.residuals else h

    def inside(self, h: Node, level: int) -> Node:
        return self._added(h, f"inside_{level}") if level < self.features else h

    def _added(self, h: Node, name: str) -> Node:
        """Return `h` and an input of its shape, added up."""
        sides = output_of(h).get_partial_shape()
        shape = [side.get_length() if side.is_static else DYNAMIC for side in sides]
        return op.add(h, self.input(name, shape))

    def _up(self, h: Node, level: int, skips: list[Node]) -> Node:
        """Up block `level`, counted from the deepest, without the very last layer of the last block."""
        last = level == len(self.channels) - 1
        count = self.depths[self._across(level)] + 1
        for layer in range(count - 1 if last else count):
            h = self._up_layer(h, level, layer, skips)
        if last:
            return h
        # The size of the next skip connection decides when a side was odd on the way down.
        size = spatial_of(skips[-1])
        return self.layers.conv(upsample(h, size), f"up_blocks.{level}.upsamplers.0.conv")

    def _up_layer(self, h: Node, level: int, layer: int, skips: list[Node]) -> Node:
        skip = skips.pop()
        if self.freeu is not None and level < 2:
            h, skip = weighed(h, skip, level, self.freeu)
        h = op.concat([h, skip], 1)
        h = self.layers.resnet(h, self.embedding, f"up_blocks.{level}.resnets.{layer}", self.eps)
        if self.up_types[level] == "CrossAttnUpBlock2D":
            h = self.transformer(h, f"up_blocks.{level}.attentions.{layer}", self._across(level))
        return h

    def _across(self, level: int) -> int:
        """Return the down block that up block `level` faces."""
        return len(self.channels) - 1 - level


def named(node: Node, name: str) -> Node:
    """Return `node`, whose output is known by `name` outside of the graph."""
    output_of(node).get_tensor().set_names({name})
    return node


def _groups(config: Config) -> int:
    return config.get("norm_num_groups", 32)


def per_level(value: int | Sequence[int], levels: int) -> tuple[int, ...]:
    """Return a setting that is one number, or one for every level, as one for every level."""
    return (value,) * levels if isinstance(value, int) else tuple(value)
