"""Networks that were trained in the way of EDM, in the coordinates of the solvers.

Karras et al. 2022 (arXiv 2206.00364), Section 5 and Table 1, with data of the standard deviation s ("sigma_
data"): the network sees `x / sqrt(sigma^2 + s^2)`, is told `ln(sigma) / 4` as its timestep, and what it says
is mixed with its input. Divided by s, latents have unit variance and noise levels are those of the solvers,
`sigma / s`: then the network sees what any other does, and says the velocity v of Salimans and Ho with the
other sign (Playground v2.5) or with the same (CosXL). Only timesteps and levels are its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from sfumato.errors import ModelFileError
from sfumato.samplers.spacings import Floats

CLASSES: Final = ("EDMDPMSolverMultistepScheduler", "EDMEulerScheduler")
LEVELS: Final = 1000  # of the table that spacings choose from; the network knows all between them
MAX_RATIO: Final = 1e7  # of the highest level to the lowest
_PREDICTIONS: Final[Mapping[str, Literal["edm", "v"]]] = {"epsilon": "edm", "v_prediction": "v"}
_DEFAULTS: Final[Mapping[str, float]] = {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}


@dataclass(frozen=True)
class Edm:
    """The noise levels of a network, from `lowest` to `highest`, for data of the standard deviation `data`,
    and what it says: "v", or "edm" for v with the other sign.
    """

    lowest: float
    highest: float
    data: float
    prediction: Literal["edm", "v"]

    def alphas_cumprod(self) -> Floats:
        """Return `(LEVELS,)` shares of variance that are signal, falling, at levels even in log sigma."""
        ends = math.log(self.lowest / self.data), math.log(self.highest / self.data)
        sigmas = np.exp(np.linspace(*ends, LEVELS))
        return 1 / (1 + sigmas * sigmas)


def read_config(config: Mapping[str, Any]) -> Edm:
    """Return what a diffusers configuration of one of `CLASSES` says; keys it leaves out have diffusers'
    defaults. Raises ModelFileError, TypeError and ValueError for what cannot be.
    """
    said = config.get("prediction_type", "epsilon")
    if said not in _PREDICTIONS:
        known = " and ".join(_PREDICTIONS)
        raise ModelFileError(
            "this noise schedule is not supported",
            field="prediction_type",
            value=said,
            hint=f"Known: {known}.",
        )
    lowest, highest, data = (float(config.get(key, usual)) for key, usual in _DEFAULTS.items())
    if not (0 < lowest < highest < math.inf and highest / lowest <= MAX_RATIO and 0 < data < math.inf):
        raise ValueError(f"levels of noise from {lowest} to {highest} around data of {data}")
    return Edm(lowest, highest, data, _PREDICTIONS[said])


def timestep_of(sigma: float, data: float) -> float:
    """Return what the network is told at `sigma`, in units of its data (Table 1, c_noise)."""
    return math.log(sigma * data) / 4


def sigma_of(t: float, data: float) -> float:
    """Return the noise level that the network is told by `t`: the inverse of `timestep_of`."""
    return math.exp(4 * t) / data
