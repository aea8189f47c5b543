"""The compiled backend: `Backend` on openvino, with numpy arrays."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError, OutputError
from sfumato.models.adapters.changes import UNCHANGED, Changes, Latest
from sfumato.models.backends.base import NOTHING, Extra, Work
from sfumato.models.backends.openvino.altered import Altered, freeu_factors
from sfumato.models.backends.openvino.cache import CachePlace, GraphCache, Maker, builder_version
from sfumato.models.backends.openvino.control import HintShape, OpenVinoControl, open_control
from sfumato.models.backends.openvino.graphs import Graphs
from sfumato.models.backends.openvino.networks import (
    Graph,
    Network,
    compile_ahead,
    has_bfloat16,
    has_int8,
    is_small,
    kept_graphs,
    processor,
    shared_core,
    version,
)
from sfumato.models.backends.openvino.ranges import INT8_FULL, Ranges, fingerprint, stored_ranges
from sfumato.models.backends.openvino.unet import (
    Part,
    UNetShape,
    added_features,
    guidance_features,
    time_features,
)
from sfumato.models.controlnets import ControlFiles, Opened
from sfumato.models.files import ModelFiles
from sfumato.models.latents import in_unit_variance, scaling_of
from sfumato.models.memory import DECODING, ENCODING, PREDICTING, system_memory, tells_of_memory
from sfumato.models.network_files import NetworkFiles

if TYPE_CHECKING:  # few drawings have one
    from sfumato.models.backends.openvino.t2i import OpenVinoT2I

ACTIVATIONS_PER_CHANNEL: Final = 60  # see the torch backend
MAX_ROWS: Final = 64
NO_BFLOAT16: Final = (
    "This processor has no bfloat16: it is imitated, or float32 takes its place. Most likely, --precision "
    "f32 is faster."
)
NO_INT8: Final = (
    "This processor does not multiply whole numbers of eight bits: they are imitated. Most likely, "
    "--precision f32 is faster."
)
STORED_BYTES: Final = 256 * 2**20  # of graphs that a model leaves behind unasked

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
    remarks: tuple[str, ...] = ()
    ranges: Ranges | None = None  # with them, the UNet multiplies whole numbers
    options: Mapping[str, str] = field(default_factory=dict)
    controls: Opened[OpenVinoControl] = field(default_factory=Opened)
    t2i_adapters: "Opened[OpenVinoT2I]" = field(default_factory=Opened)
    changes: Changes | None = None  # adapters, laid over weights as they are read
    latest: "Latest[OpenVinoBackend]" = field(default_factory=lambda: Latest["OpenVinoBackend"]())

    @property
    def name(self) -> str:
        return f"openvino cpu {self.dtype}"

    @property
    def has_tiny_decoder(self) -> bool:
        return self.files.tiny_decoder is not None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.remarks if self.cache is None else (*self.remarks, *self.cache.notes)

    def asarray(self, a: Floats) -> Floats:
        return np.asarray(a, np.float32)

    def to_numpy(self, x: Floats) -> Floats:
        return x

    def prepare(self, work: Work) -> None:
        channels = self.files.vae.config["latent_channels"]
        latents = (work.rows, work.height, work.width, work.ids[0] * work.ids[1])
        parts: tuple[Part, ...] = ("both", "shallow") if work.reusing else ("whole",)
        decoded = (work.height, work.width) if work.tile is None else work.tile
        steered = any(one.kind == "ControlNet" for one in work.controls)
        inside = max((one.num_features for one in work.controls), default=0)
        # Two threads: the UNet takes as long as the others together, and two cores are common.
        graphs = self.graphs.of_work(work, parts, latents, residuals=steered, inside=inside)
        compile_ahead(*((self.unet, graph) for graph in graphs))
        compile_ahead(
            (self.text_encoder, self.graphs.of_text(work.ids, work.skipped)),
            (self.decoder, self.graphs.of_decoder((1, channels, *decoded))),
            *self._control_graphs(work),
        )

    def store(self) -> None:
        # RuntimeError is what openvino raises where it cannot write a graph out.
        with suppress(OutputError, OSError, RuntimeError):
            if self.cache is not None:
                self.cache.drop_stale()
            for network, files in (
                (self.unet, self.files.unet),
                (self.text_encoder, self.files.text_encoder),
                (self.decoder, self.files.vae),
            ):
                if is_small(files):
                    network.store(STORED_BYTES)
            for control in (*self.controls.all(), *self.t2i_adapters.all()):
                if is_small(control.files.network):
                    control.network.store(STORED_BYTES)

    @tells_of_memory(ENCODING)
    def encode_text(self, ids: NDArray[np.int64], skipped: int = 0) -> Floats:
        rows, tokens = ids.shape
        return self.text_encoder.run(self.graphs.of_text((rows, tokens), skipped), {"ids": ids})[0]

    @tells_of_memory(ENCODING)
    def encode_pooled(
        self, ids: NDArray[np.int64], number: int = 0, skipped: int = 0
    ) -> tuple[Floats, Floats | None]:
        """Raises InputError: see `sfumato.models.backends.openvino.support`."""
        raise InputError("makes no pooled text", field="backend", value="openvino", hint="Use torch.")

    @tells_of_memory(PREDICTING)
    def predict(self, x: Floats, t: float, context: Floats, extra: Extra = NOTHING) -> Floats:
        return self._predict("whole", x, t, context, None, extra)[0]

    @tells_of_memory(PREDICTING)
    def predict_reusing(
        self, x: Floats, t: float, context: Floats, features: Floats | None, extra: Extra = NOTHING
    ) -> tuple[Floats, Floats]:
        if features is None:
            output, features = self._predict("both", x, t, context, None, extra)
            return output, features
        return self._predict("shallow", x, t, context, features, extra)[0], features

    def control(self, files: ControlFiles) -> OpenVinoControl:
        def load() -> OpenVinoControl:
            core, of = shared_core(), files.network
            name = f"control {files.digest()[:16]}"
            network = Network(core, of, self.options, name=name, cache=self.cache, kept=kept_graphs(of))
            return open_control(files, network, int8=self._int8)

        return self.controls.get(files, load)

    def t2i_adapter(self, files: ControlFiles) -> "OpenVinoT2I":
        from sfumato.models.backends.openvino.t2i import OpenVinoT2I

        def load() -> OpenVinoT2I:
            core, of = shared_core(), files.network
            name = f"t2i {files.digest()[:16]}"
            network = Network(core, of, self.options, name=name, cache=self.cache, kept=kept_graphs(of))
            return OpenVinoT2I(files, network)

        return self.t2i_adapters.get(files, load)

    def adapted(self, changes: Changes) -> "OpenVinoBackend":
        def network(name: str, of: NetworkFiles, before: Network) -> Network:
            if changes.of(of.name) is UNCHANGED:
                return before
            # Named after the adapters, and never on disk: every weight of each would be another graph.
            named = f"{name} with {changes.fingerprint}"
            return Network(shared_core(), of, self.options, name=named, kept=kept_graphs(of))

        def make() -> OpenVinoBackend:
            files = self.files
            return replace(
                self,
                text_encoder=network("text_encoder", files.text_encoder, self.text_encoder),
                unet=network("unet", files.unet, self.unet),
                changes=changes,
                latest=Latest["OpenVinoBackend"](),
            )

        return self.latest.get(changes.fingerprint, make)

    @property
    def beside(self) -> int:
        made, files = self.latest.made, (self.files.unet, self.files.text_encoder)
        changes = None if made is None else made.changes
        # A graph that was compiled anew has all of its weights.
        changed = () if changes is None else (one for one in files if changes.of(one.name) is not UNCHANGED)
        return sum(one.num_bytes for one in changed) + self.controls.num_bytes + self.t2i_adapters.num_bytes

    def forget(self) -> None:
        self.latest.clear()
        self.controls.clear()
        self.t2i_adapters.clear()

    def leaner(self) -> None:
        """Graphs are whole, or not there."""

    @tells_of_memory(DECODING)
    def encode_image(self, pixels: Floats) -> Floats:
        (mean,) = self.encoder.run(self.graphs.of_encoder(pixels.shape), {"pixels": pixels})
        scale, shift = self._scaling
        return (mean - shift) * scale

    @tells_of_memory(DECODING)
    def decode(self, latents: Floats) -> Floats:
        scale, shift = self._scaling
        unscaled = latents / scale + shift
        return self.decoder.run(self.graphs.of_decoder(latents.shape), {"latents": unscaled})[0]

    @tells_of_memory(DECODING)
    def decode_tiny(self, latents: Floats) -> Floats:
        network = self.files.tiny_decoder
        if network is None or self.tiny_decoder is None:
            raise ValueError("this model has no tiny decoder; ask has_tiny_decoder first")
        return self.tiny_decoder.run(self.graphs.of_tiny(network, latents.shape), {"latents": latents})[0]

    def max_rows(self, height: int, width: int) -> int:
        channels = self.files.unet.config["block_out_channels"][0]
        row = height * width * channels * ACTIVATIONS_PER_CHANNEL * 4
        return int(min(MAX_ROWS, max(1, system_memory() // 4 // row)))

    @property
    def graphs(self) -> Graphs:
        """The graphs that calls of this model need."""
        return Graphs(self.files, self._int8, self.ranges, self.changes)

    @property
    def _int8(self) -> bool:
        return self.dtype == "int8"

    @property
    def _scaling(self) -> tuple[Any, Any]:
        scale, shift = scaling_of(self.files.vae.config)
        return np.float32(scale), np.float32(shift)

    def _predict(
        self, part: Part, x: Floats, t: float, context: Floats, features: Floats | None, extra: Extra
    ) -> list[Floats]:
        config = self.files.unet.config
        rows, _, height, width = x.shape
        if part == "shallow":  # has one skip connection and no middle
            extra = replace(extra, down=extra.down[:1], mid=None, inside=(), perturbed=False)
        residuals = extra.mid is not None or bool(extra.down)
        inputs = {"x": x, "time": time_features(t, config), "context": context}
        inputs |= _extra_inputs(extra, config, rows)
        if features is not None:
            inputs["features"] = features
        shape = (rows, height, width, context.shape[1])
        graph = self.graphs.of_unet(part, shape, residuals=residuals, altered=Altered.by(extra))
        return self.unet.run(graph, inputs)

    def _control_graphs(self, work: Work) -> list[tuple[Network, Graph]]:
        """Return the graphs of the ControlNets of `work`; those that cannot be opened are left out."""
        size = _downsampling(self.files.vae)
        shape = UNetShape(work.rows, work.height, work.width, work.ids[0] * work.ids[1])
        hint = HintShape(1, size * work.height, size * work.width)
        graphs: list[tuple[Network, Graph]] = []
        for files in work.controls:
            with suppress(InputError, OSError):
                if files.kind == "T2I-Adapter":
                    adapter = self.t2i_adapter(files)
                    graphs.append((adapter.network, adapter.graph(hint)))
                    continue
                control = self.control(files)
                graphs.append((control.network, control.graph(shape, hint)))
        return graphs


def load_openvino(files: ModelFiles, dtype: str, place: CachePlace | None = None) -> OpenVinoBackend:
    """Return the compiled backend of a checked folder that `support.unsupported` has nothing against.

    `dtype`: auto, float32, bfloat16, int8 or int8-full; auto is bfloat16 where the processor has it, else
    float32. Graphs that are stored at `place` need not be compiled; int8-full needs the ranges stored there.
    Raises InputError for another dtype, and where no ranges can be used. Weights that do not fit raise
    ModelFileError when they are first used.
    """
    files = in_unit_variance(files)
    core = shared_core()
    quick = "bfloat16" if has_bfloat16(core) else "float32"
    chosen = quick if dtype == "auto" else dtype
    if chosen not in ("float32", "bfloat16", "int8", INT8_FULL):
        raise InputError(
            "the compiled backend does not compute in this precision",
            field="dtype",
            value=dtype,
            hint="Choose auto, float32, bfloat16, int8 or int8-full; or the backend torch.",
        )
    computing = quick if chosen in ("int8", INT8_FULL) else chosen
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if computing == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    ranges = stored_ranges(place) if chosen == INT8_FULL else None
    cache = None
    if place is not None:
        facts = options if ranges is None else {**options, "ranges": fingerprint(ranges)}
        maker = Maker(builder_version(), version(), processor(core), facts)
        cache = GraphCache(place, chosen, maker)

    def network(name: str, of: NetworkFiles) -> Network:
        return Network(core, of, options, name=name, cache=cache, kept=kept_graphs(of))

    tiny = files.tiny_decoder
    remarks = (NO_BFLOAT16,) if computing == "bfloat16" and quick == "float32" else ()
    if chosen == INT8_FULL and not has_int8(core):
        remarks = (NO_INT8,)
    return OpenVinoBackend(
        files=files,
        dtype=chosen,
        text_encoder=network("text_encoder", files.text_encoder),
        unet=network("unet", files.unet),
        decoder=network("decoder", files.vae),
        encoder=network("encoder", files.vae),
        tiny_decoder=None if tiny is None else network("tiny_decoder", tiny),
        cache=cache,
        remarks=remarks,
        ranges=ranges,
        options=options,
    )


def _downsampling(vae: NetworkFiles) -> int:
    """Return how many pixels one latent spans per side."""
    return 2 ** (len(vae.config["block_out_channels"]) - 1)


def _extra_inputs(extra: Extra, config: Any, rows: int) -> dict[str, Floats]:
    inputs: dict[str, Floats] = {f"down_{number}": one for number, one in enumerate(extra.down)}
    if extra.mid is not None:
        inputs["mid"] = extra.mid
    if extra.pooled is not None and extra.time_ids is not None:
        inputs["added"] = added_features(extra.pooled, extra.time_ids, config)
    for number, one in enumerate(extra.inside):
        inputs[f"inside_{number}"] = one if len(one) == rows else np.repeat(one, rows, axis=0)
    if extra.freeu is not None:
        inputs["freeu"] = freeu_factors(extra.freeu)
    if extra.guidance is not None:
        inputs["guidance"] = guidance_features(extra.guidance, config)
    return inputs
