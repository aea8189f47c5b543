"""Write a safetensors file one tensor at a time: what is written need never be in memory as a whole.

The reader of this layout is `safetensors_header`, which says where it comes from.
"""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.imaging.writing import replacing
from sfumato.models.safetensors_header import BITS
from sfumato.models.tensor_file import KINDS

_ALIGNMENT: Final = 8  # bytes: where the body begins, so that what is mapped can be used as it lies
_BLOCK: Final = 1 << 24


@dataclass(frozen=True)
class ToWrite:
    """A tensor of a file that is to be written: `dtype` is one of `tensor_file.KINDS`, and `bits` makes its
    numbers as numpy holds them, when their turn comes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bits: Callable[[], NDArray[Any]]

    @property
    def num_bytes(self) -> int:
        """Its size in the file."""
        return int(np.prod(self.shape, dtype=np.int64)) * BITS[self.dtype] // 8


def write_tensors(path: Path, tensors: Iterable[ToWrite], metadata: Mapping[str, str]) -> None:
    """Write `tensors` and `metadata` to `path`, which is replaced at once and only when all went well.

    The widest numbers come first, then names in their order: every tensor lies at a multiple of its size, and
    equal tensors and metadata make equal files. Raises OutputError for a file that cannot be written, and
    ValueError for two tensors of a name and for numbers that are not of the kind and shape announced.
    """
    deque(writing_tensors(path, tensors, metadata), maxlen=0)


def writing_tensors(
    path: Path, tensors: Iterable[ToWrite], metadata: Mapping[str, str], *, new: bool = False
) -> Generator[int, None, None]:
    """Do what `write_tensors` does, and yield the bytes of each piece that was written: 16 MB at most. Closed
    early, it leaves nothing behind. A file that must be `new` replaces none that came meanwhile.
    """
    ordered = sorted(tensors, key=lambda one: (-BITS[one.dtype], one.name))
    if len({one.name for one in ordered}) != len(ordered):
        raise ValueError("two tensors have the same name")
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for one in ordered:
        header[one.name] = {
            "dtype": one.dtype,
            "shape": list(one.shape),
            "data_offsets": [at, at + one.num_bytes],
        }
        at += one.num_bytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with replacing(path, new=new) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for one in ordered:
            bits = one.bits()
            if bits.shape != one.shape or bits.dtype != KINDS[one.dtype]:
                raise ValueError(
                    f"{one.name} became {bits.shape} of {bits.dtype}, not {one.shape} of {one.dtype}"
                )
            flat = np.ascontiguousarray(bits).reshape(-1).view(np.uint8)
            for first in range(0, flat.size, _BLOCK):
                yield file.write(flat[first : first + _BLOCK].data)


def from_float32(numbers: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return `numbers` as numpy holds the kind `dtype`: "F32", "F16" or "BF16", rounded to the nearest, to
    even where two are as near. What float16 cannot hold becomes infinite.
    """
    if dtype == "F32":
        return numbers
    if dtype == "F16":
        with np.errstate(over="ignore"):
            return numbers.astype(np.float16)
    if dtype != "BF16":
        raise ValueError(f"numbers are not rounded to {dtype}")
    bits = numbers.view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    # Rounding up the bits of a NaN could make it infinite.
    return np.where(np.isnan(numbers), bits >> 16 | 0x40, rounded).astype(np.uint16)
