"""The torch backend: diffusers' and transformers' model classes, weights from safetensors only.

Gradients are switched off inside every call with `no_grad`. `inference_mode` would be a little faster, but
its tensors can never be trained on later, and neither may surround a `yield`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from sfumato.errors import InputError
from sfumato.models.adapters.changes import UNCHANGED, Changes, Latest
from sfumato.models.backends import torch_altered, torch_text, torch_unet
from sfumato.models.backends.base import NOTHING, ControlNetwork, Extra, FeatureNetwork, Work
from sfumato.models.backends.torch_adapted import adapted_copy, bytes_of_its_own
from sfumato.models.backends.torch_offload import Keeping
from sfumato.models.backends.torch_weights import TEXT, VAE, load_network
from sfumato.models.controlnets import ControlFiles, Opened, faults_of_control
from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import is_transformer
from sfumato.models.latents import in_unit_variance, scaling_of
from sfumato.models.memory import DECODING, ENCODING, LOADING, PREDICTING, system_memory, tells_of_memory
from sfumato.models.network_files import Config, NetworkFiles
from sfumato.models.tiny_decoder import TinyDecoder, load_tiny_decoder

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

# Peak activations of a diffusers UNet, in float32 numbers per latent position and per channel of its first
# level. A 20M UNet with one layer a level was measured at 34; deeper ones keep more, so this is on the safe
# side.
ACTIVATIONS_PER_CHANNEL = 60
MAX_ROWS = 64
NOT_COMPILED = "With offloading or weights in eight bits, torch.compile makes no kernels."


@dataclass(frozen=True, eq=False)
class TorchBackend:
    """`Backend` on torch. Build it with `load_torch`, or from networks that are already there (training)."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel | CLIPTextModelWithProjection
    device: torch.device
    dtype: torch.dtype
    tiny: TinyDecoder | None = None
    graphs: bool = False
    controls: Opened[ControlNetwork] = field(default_factory=Opened)
    t2i_adapters: Opened[FeatureNetwork] = field(default_factory=Opened)
    text_encoder_2: CLIPTextModelWithProjection | None = None
    networks: tuple[str, ...] = ("unet", "text_encoder", "text_encoder_2")  # what their files call them
    latest: "Latest[TorchBackend]" = field(default_factory=lambda: Latest["TorchBackend"]())
    keeping: Keeping | None = None
    notes: tuple[str, ...] = ()
    files: ModelFiles | None = None  # what it was loaded from, where nothing lies over the weights

    @property
    def name(self) -> str:
        stored = "" if self.keeping is None or self.keeping.storage == "whole" else f" {self.keeping.storage}"
        return f"torch {self.device} {str(self.dtype).removeprefix('torch.')}{stored}"

    @property
    def has_tiny_decoder(self) -> bool:
        return self.tiny is not None

    @property
    def memory(self) -> int:
        """The bytes of memory of the device: all of it, not what is free, so that runs repeat exactly."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_properties(self.device).total_memory
        return system_memory()

    def prepare(self, work: Work) -> None:
        """Nothing is made ahead: torch runs what it is given."""

    def store(self) -> None:
        """Nothing is kept."""

    def asarray(self, a: NDArray[np.float32]) -> torch.Tensor:
        return torch.tensor(a, dtype=torch.float32, device=self.device)

    def to_numpy(self, x: torch.Tensor) -> NDArray[np.float32]:
        return x.detach().to("cpu", torch.float32).numpy()

    @tells_of_memory(ENCODING)
    def encode_text(self, ids: NDArray[np.int64], skipped: int = 0) -> torch.Tensor:
        with torch.no_grad():
            if skipped:
                return torch_altered.encode_text(
                    self.text_encoder, torch.tensor(ids, device=self.device), skipped
                )
            out = self.text_encoder(torch.tensor(ids, device=self.device))
            return out.last_hidden_state.float()

    @tells_of_memory(ENCODING)
    def encode_pooled(
        self, ids: NDArray[np.int64], number: int = 0, skipped: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        encoder = self.text_encoder if number == 0 else self.text_encoder_2
        assert encoder is not None  # a text is given to encoders that are there
        with torch.no_grad():
            return torch_text.encode_pooled(encoder, torch.tensor(ids, device=self.device), skipped)

    @tells_of_memory(PREDICTING)
    def predict(
        self, x: torch.Tensor, t: float, context: torch.Tensor, extra: Extra = NOTHING
    ) -> torch.Tensor:
        with torch.no_grad():
            inputs = self._inputs(x, t, context, extra)
            if extra.perturbed or extra.freeu is not None:
                with torch_altered.altered(self.unet, extra):
                    return torch_unet.predict(self.unet, inputs).float()
            if not self.graphs:
                return torch_unet.predict(self.unet, inputs).float()
            # A recorded graph writes to the same memory every time.
            torch.compiler.cudagraph_mark_step_begin()
            return torch_unet.predict(self.unet, inputs).to(torch.float32, copy=True)

    @tells_of_memory(PREDICTING)
    def predict_reusing(
        self,
        x: torch.Tensor,
        t: float,
        context: torch.Tensor,
        features: torch.Tensor | None,
        extra: Extra = NOTHING,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            inputs = self._inputs(x, t, context, extra)
            with torch_altered.altered(self.unet, extra):
                output, features = torch_unet.predict_reusing(self.unet, inputs, features)
            return output.float(), features

    def control(self, files: ControlFiles) -> ControlNetwork:
        def load() -> ControlNetwork:
            # Imported here: most drawings have none.
            from sfumato.models.backends.torch_control import TorchControl, build_control

            with faults_of_control():
                return TorchControl(self._beside(files.network, build_control))

        return self.controls.get(files, load)

    def t2i_adapter(self, files: ControlFiles) -> FeatureNetwork:
        def load() -> FeatureNetwork:
            from sfumato.models.backends.torch_t2i import TorchT2I, build_t2i

            with faults_of_control():
                return TorchT2I(self._beside(files.network, build_t2i))

        return self.t2i_adapters.get(files, load)

    def adapted(self, changes: Changes) -> "TorchBackend":
        def network(place: int, before: Any) -> Any:
            mine = changes.of(self.networks[place])
            return before if before is None or mine is UNCHANGED else adapted_copy(before, mine)

        def make() -> TorchBackend:
            return replace(
                self,
                unet=network(0, self.unet),
                text_encoder=network(1, self.text_encoder),
                text_encoder_2=network(2, self.text_encoder_2),
                latest=Latest["TorchBackend"](),
                files=None,
            )

        return self.latest.get(changes.fingerprint, make)

    @property
    def beside(self) -> int:
        made, size = self.latest.made, self.controls.num_bytes + self.t2i_adapters.num_bytes
        if made is None:
            return size
        size += bytes_of_its_own(made.unet, self.unet)
        size += bytes_of_its_own(made.text_encoder, self.text_encoder)
        if made.text_encoder_2 is not None and self.text_encoder_2 is not None:
            size += bytes_of_its_own(made.text_encoder_2, self.text_encoder_2)
        return size

    def forget(self) -> None:
        self.latest.clear()
        self.controls.clear()
        self.t2i_adapters.clear()

    def loaded_again(self, files: ModelFiles, offload: str, storage: str) -> "TorchBackend":
        """Return what is loaded from `files` on the same device and in the same dtype, kept otherwise."""
        dtype = str(self.dtype).removeprefix("torch.")
        return load_torch(files, str(self.device), dtype, "off", offload, storage)

    def leaner(self) -> "TorchBackend | None":
        from sfumato.models.backends import torch_leaner  # for when memory has run out

        offload, files = torch_leaner.less(self.keeping), self.files
        if offload is None or files is None or torch_leaner.is_compiled(self.unet):
            return None
        fresh = self.loaded_again(files, offload, "whole" if self.keeping is None else self.keeping.storage)
        for name, network in vars(self).items():
            if isinstance(network, torch.nn.Module):
                torch_leaner.exchange(network, vars(fresh)[name])
        return replace(self, keeping=fresh.keeping, latest=Latest["TorchBackend"]())

    @tells_of_memory(DECODING)
    def encode_image(self, pixels: NDArray[np.float32]) -> torch.Tensor:
        with torch.no_grad():
            posterior = self.vae.encode(self.asarray(pixels).to(self.vae.dtype), return_dict=False)[0]
            scale, shift = self._scaling
            return (posterior.mean.float() - shift) * scale

    @tells_of_memory(DECODING)
    def decode(self, latents: torch.Tensor) -> NDArray[np.float32]:
        with torch.no_grad():
            scale, shift = self._scaling
            z: Any = (latents / scale + shift).to(self.vae.dtype)
            return self.to_numpy(self.vae.decode(z, return_dict=False)[0])

    @tells_of_memory(DECODING)
    def decode_tiny(self, latents: torch.Tensor) -> NDArray[np.float32]:
        assert self.tiny is not None  # see has_tiny_decoder
        return self.to_numpy(self.tiny(latents))

    def max_rows(self, height: int, width: int) -> int:
        channels = _config(self.unet).block_out_channels[0]
        row = height * width * channels * ACTIVATIONS_PER_CHANNEL * 4
        return int(min(MAX_ROWS, max(1, self.memory // 4 // row)))

    def _inputs(self, x: torch.Tensor, t: float, context: torch.Tensor, extra: Extra) -> torch_unet.Inputs:
        """Return what the UNet takes, in its dtype; raises InputError for what it cannot be told."""
        config = _config(self.unet)
        guidance: torch.Tensor | None = None
        if extra.guidance is not None:
            if config.time_cond_proj_dim is None:
                raise InputError("is told to a UNet that takes none", field="guidance")
            guidance = torch_unet.embed_guidance(extra.guidance, config.time_cond_proj_dim, x.shape[0])
            guidance = guidance.to(self.device, self.dtype)
        labels: torch.Tensor | None = None
        if extra.label is not None:
            if config.num_class_embeds is None:
                raise InputError("is told to a UNet that takes none", field="label")
            labels = torch.full((x.shape[0],), extra.label, dtype=torch.long, device=self.device)
        added: dict[str, torch.Tensor] = {}
        if extra.pooled is not None:
            added["text_embeds"] = extra.pooled.to(self.dtype)
        if extra.time_ids is not None:
            added["time_ids"] = extra.time_ids  # kept in float32: half precision cannot tell sizes apart
        down, mid = extra.down, extra.mid
        if down or mid is not None:
            # diffusers takes the residuals of a ControlNet together or not at all.
            nothing = torch.zeros((), device=self.device)
            down = down if down else (nothing,) * torch_unet.num_skips(self.unet)
            mid = nothing if mid is None else mid
        return torch_unet.Inputs(
            x=x.to(self.dtype),
            time=torch.tensor(t, dtype=torch.float32, device=self.device),
            context=context.to(self.dtype),
            guidance=guidance,
            added=added or None,
            down=tuple(one.to(self.dtype) for one in down),
            mid=None if mid is None else mid.to(self.dtype),
            labels=labels,
            # The middle takes it only where the rows are as many.
            inside=tuple(one.to(self.dtype).expand(x.shape[0], -1, -1, -1) for one in extra.inside),
        )

    def _beside(self, files: NetworkFiles, build: Callable[[Config], Any]) -> Any:
        """Return a network that works beside the UNet."""
        return load_network(files, build, self.device, self.dtype, keeping=self.keeping)

    @property
    def _scaling(self) -> tuple[Any, Any]:
        scale, shift = scaling_of(_config(self.vae))
        if isinstance(scale, float | int):
            return scale, shift
        return self.asarray(scale), shift if isinstance(shift, float | int) else self.asarray(shift)


@tells_of_memory(LOADING)
def load_torch(
    files: ModelFiles,
    device: str,
    dtype: str,
    compiling: str = "off",
    offload: str = "auto",
    storage: str = "auto",
) -> TorchBackend:
    """Load the networks of a checked folder.

    `device`: auto, cpu, mps, cuda or cuda:N. `dtype`: auto, float32, float16 or bfloat16; auto is float32 on
    a CPU and float16 on a GPU. The autoencoder runs in float32 when the rest runs in float16, because common
    ones overflow it. `compiling` is `Settings.torch_compile`: kernels are made when a shape is first drawn,
    which takes a minute or more; steps that reuse features run without. `offload` and `storage` are those of
    `Settings`, "auto" being none and whole; networks that are kept otherwise run without such kernels.

    Raises ModelFileError for weights that do not fit their configuration, InputError for a device this
    machine does not have.
    """
    files = in_unit_variance(files)
    place = device_of(device)
    # On a CPU the bundled autoencoder decodes in 0.74 to 0.82 of the time with channels last; its UNet does
    # not gain.
    layout = torch.channels_last if place.type == "cpu" else torch.contiguous_format
    kind = DTYPES["float32" if place.type == "cpu" else "float16"] if dtype == "auto" else DTYPES[dtype]
    vae_kind = torch.float32 if kind == torch.float16 else kind
    keeping = Keeping.asked(offload, storage, place.type)
    build = _transformer if is_transformer(files.unet) else _unet
    unet = load_network(files.unet, build, place, kind, keeping=keeping)
    graphs = compiling == "graphs" and place.type == "cuda" and keeping is None
    if compiling != "off" and keeping is None:
        unet.compile(mode="reduce-overhead" if graphs else "default")
    return TorchBackend(
        unet=unet,
        vae=load_network(files.vae, _vae, place, vae_kind, layout, keeping, VAE),
        text_encoder=_text_encoder(files.text_encoder, place, kind, keeping),
        device=place,
        dtype=kind,
        tiny=None if files.tiny_decoder is None else load_tiny_decoder(files.tiny_decoder, place, kind),
        graphs=graphs,
        networks=(files.unet.name, files.text_encoder.name, "text_encoder_2"),
        text_encoder_2=None
        if files.text_encoder_2 is None
        else _text_encoder(files.text_encoder_2, place, kind, keeping),
        keeping=keeping,
        files=files,
        notes=() if compiling == "off" or keeping is None else (NOT_COMPILED,),
    )


def _config(network: Any) -> Any:
    return network.config  # diffusers types it as a dictionary; it has attributes as well


def _unet(config: Config) -> Any:
    return UNet2DConditionModel.from_config(dict(config))


def _transformer(config: Config) -> Any:
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel  # most are UNets

    return SD3Transformer2DModel.from_config(dict(config))


def _vae(config: Config) -> Any:
    return AutoencoderKL.from_config(dict(config))


def _text_encoder(
    files: NetworkFiles, device: torch.device, dtype: torch.dtype, keeping: Keeping | None
) -> Any:
    build = torch_text.builder(files.class_name)
    return load_network(files, build, device, dtype, keeping=keeping, group=TEXT)


def device_of(name: str) -> torch.device:
    """Return the device that `load_torch` means by `name`. Raises InputError for one that is not here."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    usable = {
        "cpu": True,
        "cuda": (0 if device.index is None else device.index) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not usable[device.type]:
        raise InputError(
            "this machine has no such device",
            field="device",
            value=name,
            hint='Use "auto" or "cpu", or install a torch built for your GPU.',
        )
    return device
