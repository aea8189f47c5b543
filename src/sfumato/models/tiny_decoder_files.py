"""The files of a decoder for previews (AutoencoderTiny): beside a model or among the files people have, of
either layout, and whether it fits the model.

The published ones are TAESD and TAESDXL (https://github.com/madebyollin/taesd): networks of one shape for two
kinds of latents, so that nothing but their names tells which is which.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sfumato.errors import ModelFileError
from sfumato.models.levels import are_counts
from sfumato.models.network_files import Config, NetworkFiles, damaged, find_network, read_json
from sfumato.models.places import CONFIG, WEIGHTS, in_vae_places
from sfumato.models.safetensors_header import read_header
from sfumato.models.stored import Stored
from sfumato.settings import Settings

# Where a decoder for previews may lie beside them; what its config.json leaves out is as diffusers has it.
TINY_DECODERS = ("tiny_decoder", "taesd")
TINY_DECODER_DEFAULTS: Config = {
    "act_fn": "relu",
    "decoder_block_out_channels": [64, 64, 64, 64],
    "in_channels": 3,
    "latent_channels": 4,
    "num_decoder_blocks": [3, 3, 3, 1],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "shift_factor": 0.0,
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
}

#: By the factor that gives the latents of the published autoencoders unit variance: Stable Diffusion 1 and 2,
#: and XL. It tells whose latents a model has, whatever its UNet.
PUBLISHED: Final[Mapping[float, str]] = {0.18215: "taesd", 0.13025: "taesdxl"}
PREFIX: Final = "decoder.layers."  # in diffusers
MAX_LEVELS: Final = 8
MAX_BLOCKS: Final = 64  # of a level; the published ones have three
_STEM: Final = "diffusion_pytorch_model"
_LAYER: Final = re.compile(r"([0-9]{1,3})\.((?:conv\.[024]\.)?(?:weight|bias))")
_COLOURS: Final = 3


def find_tiny_decoder(folder: Path, vae: Config) -> NetworkFiles | None:
    """Return the decoder for previews that a model's folder has, None where it has none.

    Raises ModelFileError for one that cannot stand in for the decoder of `vae`.
    """
    name = next((name for name in TINY_DECODERS if (folder / name).is_dir()), None)
    if name is None:
        return None
    config = read_json(folder, f"{name}/config.json")
    fault = _misfit({**TINY_DECODER_DEFAULTS, **config}, vae)
    if fault is not None:
        raise ModelFileError(
            f"{name}/config.json {fault}",
            field="model",
            value=str(folder / name),
            hint="Remove this folder, or put a decoder for this model there; previews do without one.",
        )
    return find_network(folder / name, config, _STEM)


def published_tiny_decoder(model: Path, vae: Config, settings: Settings) -> NetworkFiles | None:
    """Return the decoder for previews that people have for latents as those of `vae`: beside the file or
    folder `model`, or in the places of autoencoders; None where there is none.

    Raises ModelFileError for one that cannot be used.
    """
    scale = vae.get("scaling_factor", 0.18215)
    name = PUBLISHED.get(scale) if isinstance(scale, float) else None
    if name is None or vae.get("latents_mean") is not None:
        return None
    names = (f"{name}_decoder{WEIGHTS}", f"{name}{WEIGHTS}", name)
    beside = (model.parent / one for one in names)
    path = next((one for one in beside if _is_one(one)), None) or in_vae_places(names, settings, _is_one)
    return None if path is None else _fitting(read_tiny_decoder(path), path, vae)


def read_tiny_decoder(path: Path) -> NetworkFiles:
    """Return the decoder in a diffusers folder, or in a safetensors file: of the original layout, whose
    layers are numbered, or of diffusers'. Raises ModelFileError.
    """
    if path.is_dir():
        return find_network(path, read_json(path, CONFIG), _STEM)
    header = read_header(path)
    shapes = header.shapes
    if any(key.startswith(PREFIX) for key in shapes):
        stored = {key: Stored(path, key) for key in shapes if key.startswith(PREFIX)}
    else:
        # diffusers has no layer for the clamp that the original begins with.
        numbered = ((key, _LAYER.fullmatch(key)) for key in shapes)
        stored = {
            f"{PREFIX}{int(match[1]) - 1}.{match[2]}": Stored(path, key) for key, match in numbered if match
        }
        if len(stored) != len(shapes):
            raise damaged(path, "is no tiny decoder: its layers have other names")
    config = _config_of({name: shapes[one.key] for name, one in stored.items()}, path)
    tensors = (header.tensors[one.key] for one in stored.values())
    size = sum(tensor.end - tensor.start for tensor in tensors)
    return NetworkFiles("tiny_decoder", config, path, "AutoencoderTiny", stored, size, derived=True)


def _config_of(shapes: Mapping[str, tuple[int, ...]], path: Path) -> Config:
    """Return the configuration that the layers of a decoder decide: blocks, then a step to the next level of
    twice the size, and so on.
    """
    first = shapes.get(f"{PREFIX}0.weight", ())
    if len(first) != 4:
        raise damaged(path, "is no tiny decoder: it has no first layer")
    counts: list[int] = []
    at = 2  # behind the first convolution and its activation
    while len(counts) < MAX_LEVELS:
        blocks = 0
        while f"{PREFIX}{at}.conv.0.weight" in shapes:
            blocks, at = blocks + 1, at + 1
        counts.append(blocks)
        if f"{PREFIX}{at}.weight" in shapes:  # the last convolution
            break
        at += 2  # behind the step up and its convolution
    last = shapes.get(f"{PREFIX}{at}.weight", ())
    if len(last) != 4 or last[0] != _COLOURS:
        raise damaged(path, "is no tiny decoder: its layers do not end in a picture")
    widths = [first[0]] * len(counts)
    return {
        "_class_name": "AutoencoderTiny",
        **TINY_DECODER_DEFAULTS,
        "latent_channels": first[1],
        "decoder_block_out_channels": widths,
        "num_decoder_blocks": counts,
    }


def _is_one(path: Path) -> bool:
    return path.is_file() if path.suffix == WEIGHTS else (path / CONFIG).is_file()


def _fitting(tiny: NetworkFiles, path: Path, vae: Config) -> NetworkFiles:
    fault = _misfit({**TINY_DECODER_DEFAULTS, **tiny.config}, vae)
    if fault is None:
        return tiny
    raise ModelFileError(f"{path.name} {fault}", field="model", value=str(path), hint="Remove it.")


def _misfit(tiny: Config, vae: Config) -> str | None:
    """Return why a tiny decoder cannot stand in for the decoder of `vae`, or None when it can."""
    if tiny.get("_class_name") != "AutoencoderTiny":
        return "does not name AutoencoderTiny as its class"
    blocks, widths = tiny["num_decoder_blocks"], tiny["decoder_block_out_channels"]
    if not (are_counts(blocks, 0) and are_counts(widths, 1) and len(blocks) == len(widths) <= MAX_LEVELS) or (
        max(blocks) > MAX_BLOCKS
    ):
        return "holds no usable num_decoder_blocks and decoder_block_out_channels"
    if len(set(widths)) > 1:  # AutoencoderTiny has no layer that would change the width
        return "holds decoder_block_out_channels that differ"
    if tiny["out_channels"] != 3 or tiny["upsampling_scaling_factor"] != 2:
        return "does not describe a decoder of colour pictures that doubles the size at every level"
    if tiny["act_fn"] != "relu" or tiny["upsample_fn"] != "nearest":
        return f"asks for {tiny['act_fn']!r} and {tiny['upsample_fn']!r}, not for relu and nearest"
    for key, low in (("scaling_factor", 0.0), ("shift_factor", -math.inf)):
        value = tiny[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < math.inf:
            return f"holds no usable {key} ({value!r})"
    channels, levels = vae.get("latent_channels"), vae.get("block_out_channels")
    if tiny["latent_channels"] != channels:
        return f"takes latents of {tiny['latent_channels']} channels, and vae/config.json has {channels}"
    if isinstance(levels, list) and len(levels) != len(blocks):
        return f"has {len(blocks)} levels, and vae/config.json has {len(levels)}"
    return None
