"""What an original file says of how its model was trained: its metadata, and tensors that are marks.

Weights do not show what a network predicts, so people and programs leave notes. Read here: the metadata of
Stability AI's specification ("modelspec."), those of kohya's trainers ("ss_"), the empty tensors `v_pred` and
`ztsnr` that ComfyUI reads as well, and the count of steps by which Stable Diffusion 2 was told apart when it
was new.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sfumato.models.original.edm import MARKS as EDM_MARKS
from sfumato.models.original.edm import SaysEdm, said_edm
from sfumato.models.original.sidecar import EPSILON, Sidecar, V, read_sidecar, sidecar_path
from sfumato.models.safetensors_header import Header, Tensor

VELOCITY_MARK, ZERO_SNR_MARK, STEPS = "v_pred", "ztsnr", "global_step"
ZERO_SNR_NOTE: Final = "ss_zero_terminal_snr"
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
_NOTES: Final[Mapping[str, Mapping[str, str]]] = {
    "modelspec.prediction_type": _PREDICTIONS,
    "modelspec.architecture": _ARCHITECTURES,
    "ss_v_parameterization": {"true": V},
}
_FORMATS: Final[Mapping[str, tuple[str, int]]] = {"I64": ("<q", 8), "I32": ("<i", 4), "F32": ("<f", 4)}


@dataclass(frozen=True)
class Says:
    """What a file says: what its network predicts (None: nothing said), whether its last noise level has no
    signal at all, the side of the pictures it was trained on, in pixels, and what it says of EDM. `because`
    names what says so.
    """

    prediction: str | None = None
    zero_snr: bool = False
    side: int | None = None
    edm: SaysEdm | None = None
    because: tuple[str, ...] = field(default=(), compare=False)


def said_by(header: Header, path: Path) -> Says:
    """Return what the file `path` with this header says. Marks go before metadata: whoever puts a mark into
    old metadata's file knows better. Raises ModelFileError for marks of EDM that are not known.
    """
    notes, tensors = header.metadata, header.tensors
    because: list[str] = []
    prediction: str | None = None

    def take(found: str | None, why: str) -> None:
        nonlocal prediction
        if prediction is None and found is not None:
            prediction = found
            because.append(why)

    if VELOCITY_MARK in tensors:
        take(V, f"the tensor {VELOCITY_MARK}")
    for key, table in _NOTES.items():
        take(table.get(notes.get(key, "").lower()), f"{key} of the metadata")
    if prediction is None and STEPS in tensors and _number(path, tensors[STEPS]) == BASE_STEPS:
        take(EPSILON, f"the tensor {STEPS}")
    marked, noted = ZERO_SNR_MARK in tensors, notes.get(ZERO_SNR_NOTE, "").lower() == "true"
    if marked or noted:
        because.append(f"the tensor {ZERO_SNR_MARK}" if marked else f"{ZERO_SNR_NOTE} of the metadata")
    edm = said_edm(header, path)
    if edm is not None:
        prediction = edm.scheduler["prediction_type"]
        because = [f"the tensor {next(mark for mark in EDM_MARKS if mark in tensors)}"]
    side = _side(notes.get("modelspec.resolution", ""))
    return Says(prediction, marked or noted, side, edm, tuple(because))


def said_beside(says: Says, path: Path) -> Says:
    """Return what a file `says`, with what a person says of it in the file beside it in its place. Raises
    ModelFileError for one that is not understood.
    """
    beside = read_sidecar(path)
    return said_over(says, beside, path)


def said_over(says: Says, beside: Sidecar, path: Path) -> Says:
    """Return what a file `says`, with what `beside` says in its place."""
    if beside.prediction is None and beside.zero_snr is None:
        return says
    zero = says.zero_snr if beside.zero_snr is None else beside.zero_snr
    because = (*says.because, f"{sidecar_path(path).name} beside it")
    return replace(says, prediction=beside.prediction or says.prediction, zero_snr=zero, because=because)


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
