"""Models that are edited by instructions (InstructPix2Pix): told from the others by their files, and how they
are shown the picture.

The UNet takes the latents of the picture beside x (Brooks et al. 2023, arXiv 2211.09800, Section 3.2). They
are the mean of what the autoencoder makes of it, without the factor that gives latents unit variance; CosXL
Edit has them with the factor of its autoencoder.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.base import Array
from sfumato.models.files import ModelFiles
from sfumato.models.latents import LATENT_CHANNELS, SCALE, SCALING_FACTOR, in_unit_variance, scaling_of

SCALED = "is_cosxl_edit"  # in model_index.json: this one is shown latents with their factor


@dataclass(frozen=True)
class Shown:
    """What makes those latents that the UNet is shown of a picture's latents `z` of unit variance: `z * scale
    + shift`, one number each or one for each channel.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def of(self, latents: Array, asarray: Callable[[NDArray[np.float32]], Array]) -> Array:
        """Return what the UNet takes beside x, `(B,C,h,w)`, for the `latents (B,C,h,w)` of a picture;
        `asarray` makes arrays of their kind.
        """
        scale, shift = (np.asarray(one, np.float32).reshape(1, -1, 1, 1) for one in (self.scale, self.shift))
        return latents * asarray(scale) + asarray(shift)


def instructed(files: ModelFiles) -> bool:
    """Tell whether the UNet takes the latents of a picture beside x, and nothing else."""
    latents = files.vae.config.get("latent_channels", LATENT_CHANNELS)
    config = files.unet.config
    return (
        isinstance(latents, int)
        and config.get("in_channels") == 2 * latents
        and config.get("num_class_embeds") is None
    )


def shown(files: ModelFiles) -> Shown | None:
    """Return how the model of a checked folder is shown a picture; None for a model that takes none."""
    if not instructed(files):
        return None
    # That of the autoencoder the UNet was trained with, where a recipe has put another in its place.
    own = files if files.own_vae is None else replace(files, vae=files.own_vae)
    scale, shift = scaling_of(in_unit_variance(own).vae.config)
    factor = own.vae.config.get(SCALE, SCALING_FACTOR) if files.index.get(SCALED) is True else 1.0
    return Shown(_numbers(factor / scale), _numbers(factor * shift))


def _numbers(values: float | NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(one) for one in np.ravel(values))
