"""What tensors in an original file say of training in the way of EDM: Playground v2.5 and CosXL.

The marks are those that ComfyUI reads. The noise levels, and what latents were divided by, stand in the
`config.json` files that were published with the two; a file whose marks say otherwise is refused.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.models.original.parts import refused
from sfumato.models.safetensors_header import Header, Tensor

MEAN, STD = "edm_mean", "edm_std"
HIGHEST, LOWEST = "edm_vpred.sigma_max", "edm_vpred.sigma_min"
MARKS: Final = (MEAN, STD, HIGHEST, LOWEST)

_PLAYGROUND: Final[Mapping[str, Any]] = {
    "_class_name": "EDMDPMSolverMultistepScheduler",
    "prediction_type": "epsilon",
    "sigma_data": 0.5,
    "sigma_max": 80.0,
    "sigma_min": 0.002,
}
_BOUNDS: Final = {HIGHEST: "sigma_max", LOWEST: "sigma_min"}  # marks, and what schedulers call them
_COSXL: Final[Mapping[str, Any]] = {
    "_class_name": "EDMEulerScheduler",
    "prediction_type": "v_prediction",
    "sigma_data": 1.0,
    "sigma_max": 120.0,
    "sigma_min": 0.002,
}
_MEANS: Final = (-1.6574, 1.886, -1.383, 2.5155)
_STDS: Final = (8.4927, 5.9022, 6.5498, 5.2299)
_NEAR: Final = 0.02  # half precision keeps three digits of them
_FORMATS: Final[Mapping[str, tuple[str, int]]] = {"F64": ("d", 8), "F32": ("f", 4), "F16": ("e", 2)}


@dataclass(frozen=True)
class SaysEdm:
    """The configuration of the `scheduler`, and what that of the autoencoder says of its `latents`."""

    scheduler: Mapping[str, Any]
    latents: Mapping[str, Any]


def said_edm(header: Header, path: Path) -> SaysEdm | None:
    """Return what the file `path` with this header says of EDM; None for most, which say nothing. Raises
    ModelFileError for marks that say what is not known.
    """
    there = [mark for mark in MARKS if mark in header.tensors]
    if not there:
        return None
    if MEAN in there or STD in there:
        for mark, known in ((MEAN, _MEANS), (STD, _STDS)):
            found = _numbers(path, header.tensors.get(mark))
            near = (math.isclose(*pair, abs_tol=_NEAR) for pair in zip(found, known, strict=False))
            if len(found) != len(known) or not all(near):
                raise refused(path, f"it was trained in another way (EDM), which its {mark} does not explain")
        latents = {"scaling_factor": 0.5, "latents_mean": list(_MEANS), "latents_std": list(_STDS)}
        return SaysEdm(_PLAYGROUND, latents)
    levels: dict[str, float] = {}
    for mark, key in _BOUNDS.items():
        if mark in there:
            found = _numbers(path, header.tensors[mark])
            if len(found) != 1 or not 0 < found[0] < math.inf:
                raise refused(path, f"it was trained in another way (EDM), and its {mark} is no noise level")
            levels[key] = found[0]
    return SaysEdm({**_COSXL, **levels}, {})


def _numbers(path: Path, tensor: Tensor | None) -> tuple[float, ...]:
    """Return the numbers of a small tensor; none for one that holds something else."""
    form, size = ("", 0) if tensor is None else _FORMATS.get(tensor.dtype, ("", 0))
    if tensor is None or not form or tensor.num_elements > len(_MEANS):
        return ()
    count = tensor.num_elements
    if tensor.end - tensor.start != count * size:  # one that is only planned
        return ()
    with path.open("rb") as file:
        file.seek(tensor.start)
        return struct.unpack(f"<{count}{form}", file.read(count * size))
