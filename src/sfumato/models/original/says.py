"""What an original file says of how its model was trained: its metadata, and tensors that are marks.

Weights do not show what a network predicts, so people and programs leave notes. Read here: the metadata of
Stability AI's specification ("modelspec."), those of kohya's trainers ("ss_"), the empty tensors `v_pred` and
`ztsnr` that ComfyUI reads as well, and the count of steps by which Stable Diffusion 2 was told apart when it
was new.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sfumato.models.safetensors_header import Header, Tensor

V, EPSILON = "v_prediction", "epsilon"
VELOCITY_MARK, ZERO_SNR_MARK, STEPS = "v_pred", "ztsnr", "global_step"
#: Trained to predict something else, at other noise levels: their marks.
EDM_MARKS: Final = ("edm_vpred.sigma_max", "edm_vpred.sigma_min", "edm_mean", "edm_std")
BASE_STEPS: Final = 875_000  # of stable-diffusion-2-base, the one of the two that predicts noise

_PREDICTIONS: Final[Mapping[str, str]] = {
    "v": V,
    "v_prediction": V,
    "v-prediction": V,
    "epsilon": EPSILON,
    "eps": EPSILON,
}
_ARCHITECTURES: Final[Mapping[str, str]] = {
    "stable-diffusion-v2-768-v": V,
    "stable-diffusion-v2-512": EPSILON,
}
_FORMATS: Final[Mapping[str, tuple[str, int]]] = {"I64": ("<q", 8), "I32": ("<i", 4), "F32": ("<f", 4)}


@dataclass(frozen=True)
class Says:
    """What a file says: what its network predicts (None: nothing said), whether its last noise level has no
    signal at all, and the side of the pictures it was trained on, in pixels.
    """

    prediction: str | None = None
    zero_snr: bool = False
    side: int | None = None


def said_by(header: Header, path: Path) -> Says:
    """Return what the file `path` with this header says. Marks go before metadata: whoever puts a mark into
    old metadata's file knows better.
    """
    notes, tensors = header.metadata, header.tensors
    if VELOCITY_MARK in tensors:
        prediction = V
    else:
        prediction = _PREDICTIONS.get(notes.get("modelspec.prediction_type", "").lower())
        prediction = prediction or _ARCHITECTURES.get(notes.get("modelspec.architecture", "").lower())
        if prediction is None and notes.get("ss_v_parameterization") == "True":
            prediction = V
    if prediction is None and STEPS in tensors and _number(path, tensors[STEPS]) == BASE_STEPS:
        prediction = EPSILON
    zero = ZERO_SNR_MARK in tensors or notes.get("ss_zero_terminal_snr") == "True"
    return Says(prediction, zero, _side(notes.get("modelspec.resolution", "")))


def _side(resolution: str) -> int | None:
    """Return the side of square pictures, written as 768x768 or 768; None for anything else."""
    sides = set(resolution.lower().split("x"))
    if len(sides) != 1 or not (side := sides.pop()).isdecimal() or len(side) > 4:
        return None
    return int(side) if int(side) % 64 == 0 and int(side) else None


def _number(path: Path, tensor: Tensor) -> float | None:
    """Return the single number of a tensor; None where it holds anything else."""
    form, size = _FORMATS.get(tensor.dtype, ("", 0))
    if not form or tensor.end - tensor.start != size:
        return None
    with path.open("rb") as file:
        file.seek(tensor.start)
        (number,) = struct.unpack(form, file.read(size))
    return number
