"""What an adapter is laid over: the tensors of a model's networks, by all names adapters have for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sfumato.errors import ModelFileError
from sfumato.models.adapters.blocks import BASE, block_of, original_modules
from sfumato.models.adapters.kinds import Shape
from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import is_transformer
from sfumato.models.names import current_name
from sfumato.models.network_files import NetworkFiles
from sfumato.models.safetensors_header import read_header
from sfumato.models.stored import changed_shape

UNET: Final = "unet"

# Dotted prefixes come with the names of diffusers or of the original layout, flat ones with every dot an
# underscore. What is not told apart by a prefix is a UNet's.
_DOTTED: Final[Mapping[str, Sequence[str]]] = {
    UNET: (
        "unet.base_model.model.",
        "unet.",
        "base_model.model.",
        "model.diffusion_model.",
        "diffusion_model.",
        "",
    ),
    "text_encoder": (
        "text_encoder.base_model.model.",
        "text_encoder.",
        "text_encoders.clip_l.transformer.",
        "text_encoders.clip_h.transformer.",
    ),
    "text_encoder_2": (
        "text_encoder_2.base_model.model.",
        "text_encoder_2.",
        "text_encoders.clip_g.transformer.",
    ),
}
_FLAT: Final[Mapping[str, Sequence[str]]] = {
    UNET: ("lora_unet_", "lycoris_unet_", "lycoris_"),
    "text_encoder": ("lora_te_", "lora_te1_", "lycoris_te_", "lycoris_te1_"),
    "text_encoder_2": ("lora_te2_", "lycoris_te2_"),
}
_OLD_PROCESSOR: Final = ".processor."
# What diffusers once called the projections of text encoders in adapters.
_OLD_TEXT: Final[Mapping[str, str]] = {
    "to_q": "q_proj",
    "to_k": "k_proj",
    "to_v": "v_proj",
    "to_out.0": "out_proj",
}


@dataclass(frozen=True)
class Place:
    """A module of a network: `name` is today's in diffusers or transformers, `block` the UNet's block that it
    lies in, BASE in text encoders.
    """

    network: str
    name: str
    block: str


@dataclass(frozen=True, eq=False)
class Target:
    """The networks of one model: the shape of every tensor by network and name, and its modules by the names
    that adapters may give them.
    """

    shapes: Mapping[str, Mapping[str, Shape]]
    dotted: Mapping[str, Place]
    flat: Mapping[str, Place]

    def find(self, raw: str) -> Place | None:
        """Return the module that an adapter calls `raw`; None when the model has none of that name."""
        return self.flat.get(raw) or self.dotted.get(_normal(raw))

    def example(self, raw: str) -> str:
        """Return a module of the model, named as an adapter that writes names such as `raw` would."""
        flat = "." not in raw
        names = self.flat if flat else self.dotted
        start = raw.partition("_")[0] if flat else raw.partition(".")[0]
        return next((name for name in names if name.startswith(start)), next(iter(names), "nothing"))


def target_of(files: ModelFiles) -> Target:
    """Return what adapters are laid over in the model `files`. Raises ModelFileError for a file that cannot
    be read, and for a model that is no UNet.
    """
    if is_transformer(files.unet):
        raise ModelFileError(
            "adapters are laid over UNets, and this model is a transformer (Stable Diffusion 3)",
            field="lora",
            value=files.folder.name,
            hint="Leave them out, embeddings as well, or use another model.",
        )
    networks = [one for one in files.networks if one.name in _FLAT]
    return target_with({one.name: shapes_of(one) for one in networks})


def shapes_of(network: NetworkFiles) -> dict[str, Shape]:
    """Return the shape of every tensor of a network, by its name of today."""
    if network.stored is None:
        shapes = read_header(network.weights).shapes
    else:
        headers = {path: read_header(path).shapes for path in network.paths}
        shapes = {
            name: changed_shape(headers[one.path][one.key], one.change)
            for name, one in network.stored.items()
        }
    return {current_name(key): shape for key, shape in shapes.items()}


def target_with(shapes: Mapping[str, Mapping[str, Shape]]) -> Target:
    """Return the target of networks with tensors of these shapes."""
    dotted: dict[str, Place] = {}
    flat: dict[str, Place] = {}
    for network, tensors in shapes.items():
        modules = dict.fromkeys(key.rpartition(".")[0] for key in tensors)
        original = original_modules(modules) if network == UNET else {}
        for module in modules:
            theirs = original.get(module)
            place = Place(network, module, BASE if theirs is None else block_of(theirs))
            names = _unet_names(module, theirs) if network == UNET else _text_names(module)
            for name in names:
                for prefix in _DOTTED[network]:
                    dotted.setdefault(f"{prefix}{name}", place)
                for prefix in _FLAT[network]:
                    flat.setdefault(f"{prefix}{name.replace('.', '_')}", place)
    return Target(shapes, MappingProxyType(dotted), MappingProxyType(flat))


def _unet_names(module: str, original: str | None) -> tuple[str, ...]:
    return (module,) if original is None else (module, original)


def _text_names(module: str) -> tuple[str, ...]:
    names = [f"text_model.{module}", module]
    for old, new in _OLD_TEXT.items():
        if module.endswith(f".self_attn.{new}"):
            older = f"{module.removesuffix(new)}{old}"
            names += [f"text_model.{older}", older]
    return tuple(names)


def _normal(raw: str) -> str:
    """Return a dotted name without what diffusers' attention processors once put into it."""
    name = raw.replace(_OLD_PROCESSOR, ".")
    return f"{name}.0" if name.endswith(".to_out") else name
