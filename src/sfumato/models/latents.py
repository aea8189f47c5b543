"""What leads from the latents of an autoencoder to those that networks work on, which have unit variance.

Most autoencoders have one factor for it, some another one and an offset for each channel (Playground v2.5). A
network that was trained in the way of EDM works on latents of another standard deviation; ours divide by it.
"""

import math
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import ModelFileError
from sfumato.models.files import ModelFiles
from sfumato.models.network_files import Config, NetworkFiles, damaged
from sfumato.samplers.edm import CLASSES, read_config

SCALING_FACTOR: Final = 0.18215  # diffusers' default: Stable Diffusion 1's
LATENT_CHANNELS: Final = 4  # the same
MEAN, STD, SCALE = "latents_mean", "latents_std", "scaling_factor"
Numbers: TypeAlias = float | NDArray[np.float32]


def scaling_of(config: Config) -> tuple[Numbers, Numbers]:
    """Return `scale` and `shift`, numbers or `(1,C,1,1)`, of an autoencoder with this configuration: latents
    of unit variance are `(z - shift) * scale`.
    """
    scale, shift = config.get(SCALE, SCALING_FACTOR), config.get("shift_factor")
    mean, std = config.get(MEAN), config.get(STD)
    if mean is None or std is None:
        return scale, 0.0 if shift is None else shift
    return scale / _by_channel(std), _by_channel(mean)


def check_scaling(vae: NetworkFiles, channels: int) -> None:
    """Raise ModelFileError for an autoencoder whose configuration says no usable `scaling_of`."""
    scale, shift = vae.config.get(SCALE, SCALING_FACTOR), vae.config.get("shift_factor")
    if not _is_finite(scale) or scale <= 0:
        raise damaged(vae.described, f"holds no usable {SCALE} ({scale!r})")
    if shift is not None and not _is_finite(shift):
        raise damaged(vae.described, f"holds no usable shift_factor ({shift!r})")
    mean, std = vae.config.get(MEAN), vae.config.get(STD)
    if mean is None and std is None:
        return
    for key, values in ((MEAN, mean), (STD, std)):
        usable = isinstance(values, list) and len(values) == channels and all(map(_is_finite, values))
        if not usable or (key == STD and any(value <= 0 for value in values or ())):
            raise damaged(vae.described, f"holds no usable {key} ({values!r})")


def in_unit_variance(files: ModelFiles) -> ModelFiles:
    """Return `files` with an autoencoder whose latents have unit variance, whatever the network's have."""
    if files.scheduler.get("_class_name") not in CLASSES:
        return files
    try:
        data = read_config(files.scheduler).data
    except (ModelFileError, TypeError, ValueError):  # said when the schedule is read
        return files
    config: dict[str, Any] = dict(files.vae.config)
    config[SCALE] = config.get(SCALE, SCALING_FACTOR) / data
    return replace(files, vae=replace(files.vae, config=config))


def _by_channel(values: list[float]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
