"""Autoencoders in the original layout, read from the names and shapes of their tensors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from sfumato.models.original.names import VAE_MATRICES, inverse, rename, vae_modules
from sfumato.models.original.parts import Shape, Source, refused
from sfumato.models.stored import Stored

MAX_LEVELS: Final = 8
MAX_LAYERS: Final = 16
FIRST: Final = "encoder.conv_in.weight"  # every original autoencoder has it, and nothing else


@dataclass(frozen=True)
class VaeStructure:
    """An `AutoencoderKL` as its weights show it: `widths` of its levels in channels, the finest first, and
    residual blocks of each on the way down; one more on the way up.
    """

    widths: tuple[int, ...]
    layers: int
    latents: int
    colours: int

    def config(self) -> dict[str, Any]:
        """Return what a diffusers `config.json` says of it: everything that weights decide."""
        levels = len(self.widths)
        return {
            "_class_name": "AutoencoderKL",
            "act_fn": "silu",
            "block_out_channels": list(self.widths),
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "in_channels": self.colours,
            "latent_channels": self.latents,
            "layers_per_block": self.layers,
            "norm_num_groups": 32,
            "out_channels": self.colours,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
        }


def vae_of(source: Source) -> VaeStructure:
    """Return what the autoencoder of `source` is. Raises ModelFileError where its numbers contradict each
    other.
    """
    widths: list[int] = []
    counts: list[int] = []
    for level in range(MAX_LEVELS):
        layers = _count(lambda at, level=level: f"encoder.down.{level}.block.{at}.conv1.weight", source)
        if not layers:
            break
        counts.append(layers)
        widths.append(source.shape(f"encoder.down.{level}.block.0.conv2.weight", 4)[0])
    if not widths or len(set(counts)) != 1:
        raise refused(source.path, f"its autoencoder has {counts or 'no'} residual blocks in its levels")
    for level, width in enumerate(widths):
        there = source.shape(f"decoder.up.{level}.block.0.conv2.weight", 4)[0]
        if there != width:
            raise refused(source.path, f"its autoencoder has {width} channels on the way down and {there} up")
    # The mean and the logarithm of the variance of each latent.
    latents = source.shape("quant_conv.weight", 4)[0] // 2
    if source.shape("post_quant_conv.weight", 4)[0] != latents:
        raise refused(source.path, "its autoencoder disagrees with itself on latents")
    colours = source.shape(FIRST, 4)[1]
    return VaeStructure(tuple(widths), counts[0], latents, colours)


def vae_stored(source: Source, vae: VaeStructure) -> dict[str, Stored]:
    """Return where each tensor of the autoencoder lies, by its name in diffusers; strangers are left out."""
    names = rename(source.shapes, inverse(vae_modules(len(vae.widths), vae.layers)))
    return {name: _placed(source, key, name) for key, name in names.items()}


def _placed(source: Source, key: str, name: str) -> Stored:
    shape: Shape = source.shapes[key]
    stored = source.stored(key)
    squeezed = name.endswith(tuple(VAE_MATRICES)) and shape[2:] == (1, 1)
    return replace(stored, change="matrix") if squeezed else stored


def _count(name: Callable[[int], str], source: Source) -> int:
    return next((at for at in range(MAX_LAYERS) if name(at) not in source.shapes), MAX_LAYERS)
