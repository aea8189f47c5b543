"""Adapter files: found to be whole, named by digest, and read tensor by tensor."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sfumato.errors import ModelFileError, shown
from sfumato.models.adapters.kinds import Floats, Shape
from sfumato.models.digests import Digests, digests_of, taken
from sfumato.models.safetensors_header import Header, read_header
from sfumato.settings import Settings

HASH_DIGITS: Final = 12  # that A1111 writes of a hash
_PICKLES: Final = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
REMEMBERED: Final = 4_000_000  # bytes of a file that takes longer to read than what was remembered of it
_KINDS: Final[Mapping[str, Any]] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True, eq=False)
class AdapterFile:
    """A checked file: its header is whole, no tensor is read yet. `field` names what it is for, in errors.
    With `settings`, digests of large files are remembered in the data folder.
    """

    name: str
    path: Path
    header: Header
    field: str
    settings: Settings | None = None

    @property
    def shapes(self) -> dict[str, Shape]:
        return self.header.shapes

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.header.metadata

    def digests(self) -> Digests:
        """Return the digests: of the file, and of its body, which is what A1111 calls the hash of a LoRA."""
        if self.settings is None or self.header.num_bytes < REMEMBERED:
            return taken(self.path)
        return digests_of(self.path, self.settings)

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


def open_adapter(
    path: Path, field: str, name: str | None = None, settings: Settings | None = None
) -> AdapterFile:
    """Open a safetensors file; nothing but its header is read. Raises ModelFileError, also for a pickle."""
    if path.suffix.lower() in _PICKLES:
        raise ModelFileError(
            f"{path.name} is a pickle, which can run any program when opened",
            field=field,
            value=str(path),
            hint="Only safetensors files are loaded; get or convert this one as safetensors.",
        )
    header = read_header(path, field=field)
    return AdapterFile(path.stem if name is None else name, path, header, field, settings)
