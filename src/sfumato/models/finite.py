"""Which weights are no numbers: a tensor that holds NaN or infinity makes every picture black.

Reading all weights takes as long as loading them does, so nothing looks for it while a model is loaded:
pictures that are not finite stop a run when they come up, and this tells which tensor it was.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from sfumato.models.safetensors_header import read_header

_BLOCK: Final = 1 << 20  # numbers that are looked at together
#: How the bits of each kind are read, and which of them, all set, make no number.
_KINDS: Final[Mapping[str, tuple[type[np.unsignedinteger], int]]] = {
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F8_E5M2": (np.uint8, 0x7C),
    "F8_E4M3": (np.uint8, 0x7F),  # has no infinities, and one NaN of each sign
}


def not_finite(path: Path) -> Iterator[str]:
    """Yield the name of each tensor of the safetensors file `path` that holds NaN or infinity. Reads the
    whole file, a few MB at a time. Raises ModelFileError for a damaged file.
    """
    header = read_header(path)
    mapped = np.memmap(path, np.uint8, "r")
    for name, tensor in header.tensors.items():
        raw = mapped[tensor.start : tensor.end]
        if tensor.dtype in _KINDS and _bad(raw, *_KINDS[tensor.dtype]):
            yield name


def _bad(raw: np.ndarray, kind: type[np.unsignedinteger], exponent: int) -> bool:
    step = _BLOCK * np.dtype(kind).itemsize
    for first in range(0, len(raw), step):
        part = np.ascontiguousarray(raw[first : first + step])
        # Tensors need not begin at a multiple of their size; a copy does.
        bits = (part if part.ctypes.data % np.dtype(kind).itemsize == 0 else part.copy()).view(kind)
        if bool(((bits & kind(exponent)) == kind(exponent)).any()):
            return True
    return False
