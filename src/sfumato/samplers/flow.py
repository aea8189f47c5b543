"""Flow matching in the coordinates of the solvers.

A network of flow matching was trained on `z = (1 - s) * x0 + s * noise` and predicts `noise - x0` (Esser et
al. 2024, arXiv 2403.03206, Section 2 and "Rectified Flow" in Section 3). `x = z / (1 - s)` is `x0 + sigma *
noise` with `sigma = s / (1 - s)`: an Euler step along the flow is the Euler step of these coordinates, and
every solver takes flows as it is.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sfumato.errors import ModelFileError
from sfumato.samplers.spacings import Floats

# A flow begins without signal, where sigma is infinite. This stands in for it: a millionth of the noisiest
# input is signal. It lies above what the noisiest but one has, with any shift and length that are allowed.
SIGMA_MAX: Final = 1e6
MAX_SHIFT: Final = 100.0
MAX_TIMESTEPS: Final = 5000
TOLERANCE: Final = 1e-6  # nearer to the last level than this is the last level

CLASSES: Final = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
# What would make other levels of noise out of the same numbers.
_BENDS: Final = ("use_dynamic_shifting", "shift_terminal", "invert_sigmas")
_OTHER_LEVELS: Final = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")


def alphas_cumprod_of(shift: float, num_train_timesteps: int) -> Floats:
    """Return `(N,)` shares of variance that are signal, falling, of a variance-preserving process with the
    sigmas of a flow.

    At timestep u N, for u = 1/N to 1, the noise has the share `s = shift u / (1 + (shift - 1) u)` (Esser et
    al. 2024, Equation 23), so that sigma is `shift u / (1 - u)`; the last is `SIGMA_MAX`. Raises ValueError
    for a `shift` outside (0, `MAX_SHIFT`] and for other N than 2 to `MAX_TIMESTEPS`.
    """
    if not 2 <= num_train_timesteps <= MAX_TIMESTEPS:
        raise ValueError(f"num_train_timesteps must be 2 to {MAX_TIMESTEPS}, not {num_train_timesteps}")
    if not 0 < shift <= MAX_SHIFT:
        raise ValueError(f"shift must be above 0 and up to {MAX_SHIFT:g}, not {shift}")
    u = np.arange(1, num_train_timesteps) / num_train_timesteps
    sigmas = np.append(shift * u / (1 - u), SIGMA_MAX)
    return 1 / (1 + sigmas * sigmas)


def read_config(config: Mapping[str, Any]) -> tuple[float, int]:
    """Return the shift and the number of timesteps of a diffusers configuration of one of `CLASSES`; keys it
    leaves out have diffusers' defaults.

    Raises ModelFileError for levels of noise that depend on the picture or end elsewhere, TypeError and
    ValueError for what is no number.
    """
    for key in (*_BENDS, *_OTHER_LEVELS):
        if config.get(key):
            raise ModelFileError(
                "this noise schedule is not supported",
                field=key,
                value=config[key],
                hint="Known: flow matching with one fixed shift.",
            )
    return float(config.get("shift", 1.0)), int(config.get("num_train_timesteps", 1000))


def share_of(sigma: Any) -> Any:
    """Return the noise's share `s` in [0, 1) at `sigma`, a number or an array."""
    return sigma / (1 + sigma)


def timestep_of(sigma: float, sigma_min: float, sigma_max: float, num_train_timesteps: int) -> float:
    """Return what the network is told at `sigma`: N times the noise's share, and N itself at `sigma_max`."""
    if sigma >= sigma_max * (1 - TOLERANCE):
        return float(num_train_timesteps)
    return num_train_timesteps * share_of(max(sigma, sigma_min))


def sigma_of(t: float, sigma_min: float, sigma_max: float, num_train_timesteps: int) -> float:
    """Return the noise level of a timestep, clamped to those there are: the inverse of `timestep_of`."""
    share = t / num_train_timesteps
    if share >= share_of(sigma_max):
        return sigma_max
    return max(share / (1 - share), sigma_min)
