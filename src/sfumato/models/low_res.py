"""Upscalers that are diffusion models: told from the others by their files, and how they are shown a picture.

The family of stable-diffusion-x4-upscaler: the UNet takes the small picture itself beside latents of the same
size, and as its class how much noise was put on the picture (Ho et al. 2021, arXiv 2106.15282, Section 4.1).
"""

import math
from dataclasses import dataclass

from sfumato.errors import ModelFileError
from sfumato.models.files import ModelFiles
from sfumato.models.latents import LATENT_CHANNELS
from sfumato.models.network_files import Config, damaged
from sfumato.samplers.schedule import Schedule

COLOURS = 3
MAX_NOISE_LEVEL = 350  # of the published model, whose training saw no more


@dataclass(frozen=True)
class LowResNoise:
    """How noise is put on a small picture: `alphas_cumprod` are the shares of its variance that are kept at
    every level, of which the model knows those up to `max_level`.
    """

    alphas_cumprod: tuple[float, ...]
    max_level: int

    def shares(self, level: int) -> tuple[float, float]:
        """Return what the picture and standard noise are multiplied by at `level`, in [0, `max_level`]."""
        kept = self.alphas_cumprod[level]
        return math.sqrt(kept), math.sqrt(1 - kept)


def upscales(files: ModelFiles) -> bool:
    """Tell whether the UNet takes a picture beside x, and a noise level as its class."""
    latents = files.vae.config.get("latent_channels", LATENT_CHANNELS)
    config = files.unet.config
    return (
        isinstance(latents, int)
        and config.get("in_channels") == latents + COLOURS
        and config.get("num_class_embeds") is not None
        and config.get("class_embed_type") is None
    )


def low_res_noise(files: ModelFiles) -> LowResNoise | None:
    """Return how a small picture is shown to the model; None for a model that takes none. Raises
    ModelFileError for a folder that does not say it.
    """
    if not upscales(files):
        return None
    path = files.folder / "model_index.json"
    if files.low_res is None:
        raise damaged(path, "names no low_res_scheduler, and the UNet is that of an upscaler")
    levels = _count(files.unet.config, "num_class_embeds")
    if levels is None:
        raise damaged(files.unet.described, "holds no usable num_class_embeds")
    try:
        schedule = Schedule.from_diffusers_config(files.low_res)
    except ModelFileError as error:
        raise damaged(files.folder / "low_res_scheduler", f"cannot be used ({error})") from error
    most = MAX_NOISE_LEVEL if files.max_noise_level is None else files.max_noise_level
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise damaged(path, f"holds no usable max_noise_level ({most!r})")
    alphas = tuple(float(one) for one in schedule.alphas_cumprod)
    return LowResNoise(alphas, min(most, levels - 1, len(alphas) - 1))


def _count(config: Config, key: str) -> int | None:
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None
