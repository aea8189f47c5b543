"""The tiny decoder: latents to pictures for previews, at a fraction of the cost of the autoencoder's decoder.

Its network is the decoder half of diffusers' AutoencoderTiny, as TAESD was published. Only the tensors
`decoder.*` are read, an encoder beside them is left alone; `sfumato.models.tiny_decoder_files` finds them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.vae import DecoderTiny
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sfumato.models.network_files import Config, NetworkFiles, damaged
from sfumato.models.tiny_decoder_files import TINY_DECODER_DEFAULTS

_PREFIX = "decoder."
_WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True, eq=False)
class TinyDecoder:
    """A loaded tiny decoder. `scale` and `shift` lead from latents of unit variance to what `net` takes: 1
    and 0 for TAESD and for Sfumato's own, which take them as they are.
    """

    net: DecoderTiny
    scale: float
    shift: float

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the pixels `(B,3,H,W)`, about [-1, 1] and not clipped, of scaled latents `(B,C,h,w)`."""
        with torch.no_grad():
            weight = next(self.net.parameters())
            inputs = latents.to(weight.device, torch.float32) / self.scale + self.shift
            return self.net(inputs.to(weight.dtype)).float()


def build_decoder(config: Config) -> DecoderTiny:
    """Return a fresh network of an AutoencoderTiny's `config`; what it leaves out is diffusers' default."""
    whole = {**TINY_DECODER_DEFAULTS, **config}
    return DecoderTiny(
        in_channels=whole["latent_channels"],
        out_channels=whole["out_channels"],
        num_blocks=tuple(whole["num_decoder_blocks"]),
        block_out_channels=tuple(whole["decoder_block_out_channels"]),
        upsampling_scaling_factor=whole["upsampling_scaling_factor"],
        act_fn=whole["act_fn"],
        upsample_fn=whole["upsample_fn"],
    )


def decoder_config(latent_channels: int, width: int, blocks: tuple[int, ...]) -> dict[str, Any]:
    """Return the config.json of a decoder of `width` channels with so many `blocks` per level, the latents'
    level first.

    It names an encoder too, as AutoencoderTiny has one; that is never saved.
    """
    widths = [width] * len(blocks)
    return {
        "_class_name": "AutoencoderTiny",
        **TINY_DECODER_DEFAULTS,
        "latent_channels": latent_channels,
        "decoder_block_out_channels": widths,
        "num_decoder_blocks": list(blocks),
        "encoder_block_out_channels": widths,
        "num_encoder_blocks": [1] * len(blocks),
    }


def save_decoder(net: DecoderTiny, folder: Path, facts: Mapping[str, object]) -> None:
    """Write the weights of `net` as float16 into `folder`, with `facts`, JSON data, in the file's header."""
    tensors = {f"{_PREFIX}{key}": value.half().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, folder / _WEIGHTS, metadata={"tiny_decoder": json.dumps(facts)})


def load_tiny_decoder(files: NetworkFiles, device: torch.device, dtype: torch.dtype) -> TinyDecoder:
    """Load the tiny decoder of a checked folder. Raises ModelFileError for weights that do not fit its
    config.json.
    """
    try:
        with torch.device("meta"):
            net = build_decoder(files.config)
        with safe_open(files.weights, framework="pt") as file:
            # A safetensors file is no mapping.
            keys = {key: key for key in file.keys()}  # noqa: SIM118
            if files.stored is not None:
                keys = {name: one.key for name, one in files.stored.items()}
            weights = {
                name.removeprefix(_PREFIX): file.get_tensor(key).to(device, dtype)
                for name, key in keys.items()
                if name.startswith(_PREFIX)
            }
        net.load_state_dict(weights, strict=True, assign=True)
    # A configuration and a list of tensors can disagree in as many ways as there are layers.
    except (RuntimeError, TypeError, ValueError, KeyError, SafetensorError, OSError) as error:
        what = " ".join(str(error).split())
        raise damaged(files.weights, f"does not fit its config.json ({what})") from error
    whole = {**TINY_DECODER_DEFAULTS, **files.config}
    laid_out: Any = net.requires_grad_(False).eval()
    if device.type == "cpu":  # three quarters of the time there: 17 ms instead of 24 for the bundled model's
        laid_out = laid_out.to(memory_format=torch.channels_last)
    return TinyDecoder(laid_out, float(whole["scaling_factor"]), float(whole["shift_factor"]))
