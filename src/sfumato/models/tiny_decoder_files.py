"""The files of a decoder for previews (AutoencoderTiny), and whether it fits the model it lies beside."""

import math
from pathlib import Path

from sfumato.errors import ModelFileError
from sfumato.models.network_files import Config, NetworkFiles, find_network, read_json

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
    return find_network(folder / name, config, "diffusion_pytorch_model")


def _misfit(tiny: Config, vae: Config) -> str | None:
    """Return why a tiny decoder cannot stand in for the decoder of `vae`, or None when it can."""
    if tiny.get("_class_name") != "AutoencoderTiny":
        return "does not name AutoencoderTiny as its class"
    blocks, widths = tiny["num_decoder_blocks"], tiny["decoder_block_out_channels"]
    if not (_counts(blocks, 0) and _counts(widths, 1) and len(blocks) == len(widths)):
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


def _counts(values: object, low: int) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(one, int) and not isinstance(one, bool) and one >= low for one in values)
    )
