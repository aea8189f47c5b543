"""Models that are edited by instructions (InstructPix2Pix): told from the others by their files, and how they
are shown the picture.

The UNet takes the latents of the picture beside x (Brooks et al. 2023, arXiv 2211.09800, Section 3.2). They
are the mean of what the autoencoder makes of it, without the factor that gives latents unit variance.
"""

from dataclasses import dataclass

from sfumato.models.backends.base import Array
from sfumato.models.files import ModelFiles

LATENT_CHANNELS = 4  # diffusers' defaults, of this and the next
SCALING_FACTOR = 0.18215
SCALED = "is_cosxl_edit"  # in model_index.json: this one is shown latents with their factor


@dataclass(frozen=True)
class Shown:
    """What makes the latents of a picture as others see them, `z`, those that the UNet is shown: `z * scale +
    shift`.
    """

    scale: float
    shift: float

    def of(self, latents: Array) -> Array:
        """Return what the UNet takes beside x, `(B,C,h,w)`, for the `latents (B,C,h,w)` of a picture."""
        return latents * self.scale + self.shift


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
    if files.index.get(SCALED) is True:
        return Shown(1.0, 0.0)
    shift = files.vae.config.get("shift_factor")
    scale = files.vae.config.get("scaling_factor", SCALING_FACTOR)
    return Shown(1 / scale, 0.0 if shift is None else shift)
