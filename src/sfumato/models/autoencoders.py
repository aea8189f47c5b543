"""Autoencoders that are brought along: found in whatever file or folder holds one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sfumato.errors import ModelFileError
from sfumato.models.files import locate, network_of
from sfumato.models.latents import LATENT_CHANNELS, check_scaling
from sfumato.models.levels import fault_of_levels
from sfumato.models.names import current_name
from sfumato.models.network_files import NetworkFiles, damaged, find_network, read_json
from sfumato.models.original.names import VAE_MATRICES
from sfumato.models.original.parts import Part, Source, num_bytes, refused
from sfumato.models.original.single import read_vae
from sfumato.models.original.vae import vae_of
from sfumato.models.original.writing import vae_targets
from sfumato.models.safetensors_header import read_header
from sfumato.models.stored import Stored

CONFIG, STEM, CLASS = "config.json", "diffusion_pytorch_model", "AutoencoderKL"


def find_vae(path: Path) -> NetworkFiles:
    """Return the autoencoder at `path`: a safetensors file of either layout, alone or in a model, a diffusers
    folder of one, or of a model.

    Where no config.json says more, its configuration is what its weights decide. Raises ModelFileError.
    """
    if not path.is_dir():
        part = read_vae(path) or _of_diffusers(path)
        return network_of(part)
    if (path / "model_index.json").is_file():
        return _checked(locate(path).vae)
    config = read_json(path, CONFIG)
    if config.get("_class_name") != CLASS:
        hint = f"It names {config.get('_class_name')!r}; give an {CLASS}."
        raise ModelFileError("this is no autoencoder", field="vae", value=str(path), hint=hint)
    return _checked(replace(find_network(path, config, STEM, CLASS), name="vae"))


def _checked(network: NetworkFiles) -> NetworkFiles:
    """Return an autoencoder whose configuration was written by somebody; raises ModelFileError for one that
    nothing can be counted with.
    """
    said = {key: value for key, value in network.config.items() if value is not None}
    channels = said.get("latent_channels", LATENT_CHANNELS)
    fault = fault_of_levels(said)
    if fault is None and not (isinstance(channels, int) and not isinstance(channels, bool) and channels > 0):
        fault = "holds no usable latent_channels"
    if fault is not None:
        raise damaged(network.described, fault)
    check_scaling(replace(network, config=said), channels)
    return network


def _of_diffusers(path: Path) -> Part:
    """Return the autoencoder in a single file of diffusers' layout."""
    header = read_header(path, field="vae")
    named = {current_name(key): key for key in header.tensors}
    if "encoder.down_blocks.0.resnets.0.conv1.weight" not in named:
        first = ", ".join(sorted(header.tensors)[:3])
        raise refused(
            path, f"it has no autoencoder among its {len(header.tensors)} tensors, the first {first}"
        )
    shapes = {name: header.tensors[key].shape for name, key in named.items()}
    places = {target.sources[0]: target.name for target in vae_targets(shapes, path, "")}
    source = Source(path, "", {places[name]: shape for name, shape in shapes.items()}, header)
    stored = {name: _placed(path, key, shapes, name) for name, key in named.items()}
    return Part("vae", CLASS, vae_of(source).config(), stored, num_bytes(header, stored))


def _placed(path: Path, key: str, shapes: Mapping[str, tuple[int, ...]], name: str) -> Stored:
    squeezed = name.endswith(tuple(VAE_MATRICES)) and len(shapes[name]) == 4
    return Stored(path, key, "matrix" if squeezed else None)
