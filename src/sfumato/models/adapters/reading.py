"""Adapter files: found to be whole, named by digest, and read tensor by tensor."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sfumato.errors import ModelFileError, shown
from sfumato.models.adapters.kinds import Floats, Shape
from sfumato.models.safetensors_header import LENGTH, Header, read_header

HASH_DIGITS: Final = 12  # that A1111 writes of a hash
_PICKLES: Final = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
_BLOCK: Final = 1 << 20
_KINDS: Final[Mapping[str, Any]] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Digests:
    """`whole` is the sha256 (hex) of a file. `body` is that of what follows its header: what A1111 calls the
    hash of a LoRA, which stays the same when somebody edits the metadata.
    """

    whole: str
    body: str


@dataclass(frozen=True, eq=False)
class AdapterFile:
    """A checked file: its header is whole, no tensor is read yet. `field` names what it is for, in errors."""

    name: str
    path: Path
    header: Header
    field: str

    @property
    def shapes(self) -> dict[str, Shape]:
        return self.header.shapes

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.header.metadata

    def digests(self) -> Digests:
        """Return the digests; a process reads a file once for them as long as nobody writes to it."""
        now = self.path.stat()
        return _digests(self.path, now.st_size, now.st_mtime_ns)

    @property
    def hash(self) -> str:
        """What A1111 and most others call this file by: the first digits of a sha256."""
        said = self.metadata.get("sshs_model_hash", "")
        usable = len(said) >= HASH_DIGITS and all(one in "0123456789abcdef" for one in said)
        return (said if usable else self.digests().body)[:HASH_DIGITS]

    def array(self, key: str) -> Floats:
        """Return the tensor `key` as float32. Raises ModelFileError for one that is missing, holds no
        fractions, or holds what is not finite.
        """
        tensor = self.header.tensors.get(key)
        if tensor is None:
            raise self.damaged(f"lacks {shown(key)}")
        kind = _KINDS.get(tensor.dtype)
        if kind is None:
            raise self.damaged(f"holds {tensor.dtype} in {shown(key)} where fractions belong")
        try:
            with self.path.open("rb") as file:
                file.seek(tensor.start)
                raw = np.frombuffer(file.read(tensor.end - tensor.start), kind)
        except OSError as error:
            raise self.damaged(f"cannot be read ({error.strerror})") from error
        if raw.size != tensor.num_elements:
            raise self.damaged("became shorter while it was read")
        if tensor.dtype == "BF16":
            numbers = (raw.astype(np.uint32) << 16).view(np.float32)
        else:
            with np.errstate(over="ignore"):
                numbers = raw.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise self.damaged(f"holds numbers in {shown(key)} that are not finite")
        return numbers.reshape(tensor.shape)

    def damaged(self, what: str, hint: str = "Get this file again.") -> ModelFileError:
        """Return the error for a file that cannot be used."""
        return ModelFileError(f"{self.path.name} {what}", field=self.field, value=self.name, hint=hint)


def open_adapter(path: Path, field: str, name: str | None = None) -> AdapterFile:
    """Open a safetensors file; nothing but its header is read. Raises ModelFileError, also for a pickle."""
    if path.suffix.lower() in _PICKLES:
        raise ModelFileError(
            f"{path.name} is a pickle, which can run any program when opened",
            field=field,
            value=str(path),
            hint="Only safetensors files are loaded; get or convert this one as safetensors.",
        )
    return AdapterFile(path.stem if name is None else name, path, read_header(path, field=field), field)


@functools.lru_cache(maxsize=256)
def _digests(path: Path, num_bytes: int, changed: int) -> Digests:
    whole, body = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        first = file.read(LENGTH)
        head = first + file.read(int.from_bytes(first, "little"))
        whole.update(head)
        while block := file.read(_BLOCK):
            whole.update(block)
            body.update(block)
    return Digests(whole.hexdigest(), body.hexdigest())
