"""A safetensors file as numpy arrays: mapped, so that nothing is read before its time, and nothing copied."""

import mmap
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.models.safetensors_header import Tensor, read_header

Bits: TypeAlias = NDArray[Any]

#: Kinds of numbers that weights may have, and how numpy holds them. It has none for bfloat16 and for those of
#: eight bits: there it holds their bits.
KINDS: Final[Mapping[str, type[np.generic]]] = {
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
    "F8_E4M3": np.uint8,
    "F8_E5M2": np.uint8,
}


class TensorFile:
    """A safetensors file, mapped: nothing is read before it is used, and nothing is copied.

    Raises ModelFileError for a damaged file. What `bits` returns may be written to, as openvino wants, and
    changes nothing in the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tensors: Mapping[str, Tensor] = read_header(path).tensors
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._bytes = np.frombuffer(self._map, np.uint8)

    def bits(self, key: str) -> Bits:
        """Return the numbers of `key`, of one of `KINDS`, as numpy holds them. Raises KeyError."""
        tensor = self.tensors[key]
        kind = KINDS[tensor.dtype]
        part = self._bytes[tensor.start : tensor.end]
        # Tensors need not begin at a multiple of their size; those that do not are copied.
        aligned = part if tensor.start % np.dtype(kind).itemsize == 0 else part.copy()
        return aligned.view(kind).reshape(tensor.shape)

    def let_go(self, key: str) -> None:
        """Have the system take the memory of `key` back: it is read again when it is used again, and what was
        written to it is lost. Where the system cannot be told so, nothing happens.
        """
        if sys.platform != "win32":
            tensor = self.tensors[key]
            start = tensor.start // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, start, tensor.end - start)


def as_float32(bits: Bits, dtype: str) -> NDArray[np.float32]:
    """Return numbers of the kind `dtype`, one of `KINDS`, as float32: exactly."""
    if dtype == "BF16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if dtype in _EIGHT_BITS:
        return of_eight_bits(bits, dtype).astype(np.float32)
    return bits.astype(np.float32)


def of_eight_bits(bits: Bits, dtype: str) -> NDArray[np.float16]:
    """Return numbers of eight bits, "F8_E4M3" or "F8_E5M2", as float16: exactly (Micikevicius et al. 2022,
    arXiv 2209.05433, Section 3). The first kind has no infinities.
    """
    return _EIGHT_BITS[dtype][bits]


def _e4m3() -> NDArray[np.float16]:
    """Return what each of the 256 bytes means."""
    byte = np.arange(256)
    exponent, fraction = byte >> 3 & 15, (byte & 7) / 8
    size = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent - 7.0))
    size[(byte & 127) == 127] = np.nan
    return np.copysign(size, np.where(byte >> 7, -1.0, 1.0)).astype(np.float16)


# The other kind is the first half of a float16.
_EIGHT_BITS: Final[Mapping[str, NDArray[np.float16]]] = {
    "F8_E4M3": _e4m3(),
    "F8_E5M2": (np.arange(256, dtype=np.uint16) << 8).view(np.float16),
}
EIGHT_BIT_KINDS: Final = frozenset(_EIGHT_BITS)
