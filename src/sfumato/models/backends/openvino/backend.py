"""The compiled backend: `Backend` on openvino, with numpy arrays."""

import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.backends.openvino.autoencoder import build_decoder, build_encoder
from sfumato.models.backends.openvino.cache import CachePlace, GraphCache, Maker, builder_version
from sfumato.models.backends.openvino.clip import build_text_encoder
from sfumato.models.backends.openvino.networks import Network, has_bfloat16, processor, shared_core, version
from sfumato.models.backends.openvino.tiny import build_tiny_decoder
from sfumato.models.backends.openvino.unet import (
    DYNAMIC,
    Part,
    UNetShape,
    added_features,
    build_unet,
    guidance_features,
    time_features,
)
from sfumato.models.backends.openvino.weights import Weights
from sfumato.models.files import ModelFiles

# Graphs for one exact shape run a quarter faster in small networks, and take a third of a second to make. In
# large ones the difference is 2 %, and each graph holds its own copy of the weights.
SMALL_BYTES: Final = 128 * 2**20
ACTIVATIONS_PER_CHANNEL: Final = 60  # see the torch backend
MAX_ROWS: Final = 64
ASSUMED_MEMORY: Final = 8 * 2**30

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OpenVinoBackend:
    """`Backend` on openvino. Build it with `load_openvino`; graphs are compiled when first needed."""

    files: ModelFiles
    dtype: str
    text_encoder: Network
    unet: Network
    decoder: Network
    encoder: Network
    tiny_decoder: Network | None = None
    cache: GraphCache | None = None

    @property
    def name(self) -> str:
        return f"openvino cpu {self.dtype}"

    @property
    def has_tiny_decoder(self) -> bool:
        return self.files.tiny_decoder is not None

    @property
    def notes(self) -> tuple[str, ...]:
        return () if self.cache is None else self.cache.notes

    def asarray(self, a: Floats) -> Floats:
        return np.asarray(a, np.float32)

    def to_numpy(self, x: Floats) -> Floats:
        return x

    def encode_text(self, ids: NDArray[np.int64]) -> Floats:
        network = self.files.text_encoder
        shape = self._shape(network.weights, ids.shape[0]), ids.shape[1]

        def build() -> tuple[Any, Weights]:
            weights = Weights(network.weights, int8=self._int8)
            model = build_text_encoder(weights, network.config, shape)
            weights.check_all_taken()
            return model, weights

        return self.text_encoder.run(shape, build, {"ids": ids})[0]

    def predict(self, x: Floats, t: float, context: Floats, extra: Extra = NOTHING) -> Floats:
        return self._predict("whole", x, t, context, None, extra)[0]

    def predict_reusing(
        self, x: Floats, t: float, context: Floats, features: Floats | None, extra: Extra = NOTHING
    ) -> tuple[Floats, Floats]:
        if features is None:
            output, features = self._predict("both", x, t, context, None, extra)
            return output, features
        return self._predict("shallow", x, t, context, features, extra)[0], features

    def encode_image(self, pixels: Floats) -> Floats:
        network = self.files.vae
        shape = tuple(self._shape(network.weights, side) for side in pixels.shape)
        shape = (shape[0], 3, *shape[2:])

        def build() -> tuple[Any, Weights]:
            weights = Weights(network.weights)
            return build_encoder(weights, network.config, shape), weights

        (mean,) = self.encoder.run(shape, build, {"pixels": pixels})
        scale, shift = self._scaling
        return (mean - np.float32(shift)) * np.float32(scale)

    def decode(self, latents: Floats) -> Floats:
        network = self.files.vae
        scale, shift = self._scaling
        shape = tuple(self._shape(network.weights, side) for side in latents.shape)
        shape = (shape[0], latents.shape[1], *shape[2:])

        def build() -> tuple[Any, Weights]:
            weights = Weights(network.weights)
            return build_decoder(weights, network.config, shape), weights

        return self.decoder.run(shape, build, {"latents": latents / np.float32(scale) + np.float32(shift)})[0]

    def decode_tiny(self, latents: Floats) -> Floats:
        network = self.files.tiny_decoder
        if network is None or self.tiny_decoder is None:
            raise ValueError("this model has no tiny decoder; ask has_tiny_decoder first")
        shape = tuple(self._shape(network.weights, side) for side in latents.shape)

        def build() -> tuple[Any, Weights]:
            weights = Weights(network.weights)
            return build_tiny_decoder(weights, network.config, shape), weights

        return self.tiny_decoder.run(shape, build, {"latents": latents})[0]

    def max_rows(self, height: int, width: int) -> int:
        channels = self.files.unet.config["block_out_channels"][0]
        row = height * width * channels * ACTIVATIONS_PER_CHANNEL * 4
        return int(min(MAX_ROWS, max(1, _memory() // 4 // row)))

    @property
    def _int8(self) -> bool:
        return self.dtype == "int8"

    @property
    def _scaling(self) -> tuple[float, float]:
        config = self.files.vae.config
        shift = config.get("shift_factor")
        return config.get("scaling_factor", 0.18215), 0.0 if shift is None else shift

    def _predict(
        self, part: Part, x: Floats, t: float, context: Floats, features: Floats | None, extra: Extra
    ) -> list[Floats]:
        network = self.files.unet
        rows, _, height, width = (self._shape(network.weights, side) for side in x.shape)
        shape = UNetShape(rows, height, width, self._shape(network.weights, context.shape[1]))
        residuals = extra.mid is not None or bool(extra.down)
        inputs = {"x": x, "time": time_features(t, network.config), "context": context}
        inputs |= _extra_inputs(extra, network.config)
        if features is not None:
            inputs["features"] = features

        def build() -> tuple[Any, Weights]:
            weights = Weights(network.weights, int8=self._int8)
            model = build_unet(weights, network.config, shape, part, residuals=residuals)
            if part != "shallow":
                weights.check_all_taken()
            return model, weights

        return self.unet.run((part, residuals, shape), build, inputs)

    @staticmethod
    def _shape(weights: Any, side: int) -> int:
        return side if weights.stat().st_size <= SMALL_BYTES else DYNAMIC


def load_openvino(files: ModelFiles, dtype: str, place: CachePlace | None = None) -> OpenVinoBackend:
    """Return the compiled backend of a checked folder that `support.unsupported` has nothing against.

    `dtype`: auto, float32, bfloat16 or int8; auto is bfloat16 where the processor has it, else float32.
    Graphs that are stored at `place` need not be compiled.
    Raises InputError for another one. Weights that do not fit raise ModelFileError when they are first used.
    """
    core = shared_core()
    quick = "bfloat16" if has_bfloat16(core) else "float32"
    chosen = quick if dtype == "auto" else dtype
    if chosen not in ("float32", "bfloat16", "int8"):
        raise InputError(
            "the compiled backend does not compute in this precision",
            field="dtype",
            value=dtype,
            hint="Choose auto, float32, bfloat16 or int8; or the backend torch.",
        )
    computing = quick if chosen == "int8" else chosen
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if computing == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    cache = None
    if place is not None:
        maker = Maker(builder_version(), version(), processor(core), options)
        cache = GraphCache(place, chosen, maker)
    return OpenVinoBackend(
        files=files,
        dtype=chosen,
        text_encoder=Network(core, files.text_encoder, options, name="text_encoder", cache=cache),
        unet=Network(core, files.unet, options, name="unet", cache=cache),
        decoder=Network(core, files.vae, options, name="decoder", cache=cache),
        encoder=Network(core, files.vae, options, name="encoder", cache=cache),
        tiny_decoder=None if files.tiny_decoder is None else Network(core, files.tiny_decoder, options),
        cache=cache,
    )


def _extra_inputs(extra: Extra, config: Any) -> dict[str, Floats]:
    inputs: dict[str, Floats] = {f"down_{number}": one for number, one in enumerate(extra.down)}
    if extra.mid is not None:
        inputs["mid"] = extra.mid
    if extra.pooled is not None and extra.time_ids is not None:
        inputs["added"] = added_features(extra.pooled, extra.time_ids, config)
    if extra.guidance is not None:
        inputs["guidance"] = guidance_features(extra.guidance, config)
    return inputs


def _memory() -> int:
    if not hasattr(os, "sysconf"):  # Windows
        return ASSUMED_MEMORY
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
