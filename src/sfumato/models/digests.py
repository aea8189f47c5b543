"""Digests of model files, remembered: a file of 7 GB is read once, and again only when it has changed.

What is remembered lies in the folder `digests` of the data folder, one small file for each model, called by
the digest of its path. It counts as long as size, time of change, device and inode are the same; what cannot
be read is ignored and written again.
"""

import functools
import hashlib
import json
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError, OutputError
from sfumato.imaging.writing import make_folder, write_file
from sfumato.models.safetensors_header import LENGTH
from sfumato.settings import Settings

FOLDER: Final = "digests"  # in the data folder
MAX_BYTES: Final = 10_000  # of what is remembered of one file
_BLOCK: Final = 1 << 20
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Digests:
    """`whole` is the sha256 (hex) of a file, `body` that of what follows the header of a safetensors file: it
    stays the same when somebody edits the metadata.
    """

    whole: str
    body: str

    @property
    def auto_v2(self) -> str:
        """The short hash of a model in A1111 and on model sites."""
        return self.whole[:10]

    @property
    def auto_v3(self) -> str:
        """The short hash of a LoRA there."""
        return self.body[:12]


@dataclass(frozen=True)
class _Stamp:
    """What tells one content of a path from another without reading it."""

    path: str
    size: int
    changed: int
    device: int
    inode: int


def known_digests(path: Path, settings: Settings) -> Digests | None:
    """Return the digests of a file if they are remembered and it has not changed since; else None."""
    try:
        stamp = _stamp(path)
        place = _place(stamp, settings)
        if place.stat().st_size > MAX_BYTES:
            return None
        data: Any = json.loads(place.read_bytes())
        whole, body = data.pop("whole"), data.pop("body")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    usable = data == asdict(stamp) and _is_digest(whole) and _is_digest(body)
    return Digests(whole, body) if usable else None


def digests_of(path: Path, settings: Settings) -> Digests:
    """Return the digests of the safetensors file `path`: remembered, or taken and remembered.

    Raises ModelFileError for a file that cannot be read, or changes on the way. What cannot be remembered is
    taken again next time.
    """
    found = known_digests(path, settings)
    if found is not None:
        return found
    return _finished(taking(path, settings))


def taking(path: Path, settings: Settings) -> Generator[int, None, Digests]:
    """Take the digests of a file, and remember them: yields the bytes that were read so far, after every
    megabyte, and returns the digests. Closing it early leaves nothing. Raises as `digests_of` does.
    """
    try:
        stamp = _stamp(path)
        found = yield from _reading(path, stamp.size)
        steady = _stamp(path) == stamp
    except OSError as error:
        raise _unreadable(path, error) from error
    if not steady:
        hint = "Wait until it is written, and try again."
        raise ModelFileError(
            f"{path.name} changes while it is read", field="model", value=str(path), hint=hint
        )
    _remember(stamp, found, settings)
    return found


def taken(path: Path) -> Digests:
    """Return the digests of a file, read for it, once by a process as long as nobody writes to it; nothing is
    remembered beyond. Raises OSError.
    """
    now = path.stat()
    return _taken(path, now.st_size, now.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _taken(path: Path, size: int, changed: int) -> Digests:
    return _finished(_reading(path, size))


def _finished(reading: Generator[int, None, Digests]) -> Digests:
    """Return what a reading returns in the end."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value


def _reading(path: Path, size: int) -> Generator[int, None, Digests]:
    whole, body = hashlib.sha256(), hashlib.sha256()
    count = 0
    with path.open("rb") as file:
        first = file.read(LENGTH)
        # No more than there is: a file that is none of safetensors has no body.
        rest = min(int.from_bytes(first, "little"), max(size - LENGTH, 0))
        whole.update(first)
        while block := file.read(min(_BLOCK, rest) if rest else _BLOCK):
            whole.update(block)
            if rest:
                rest -= len(block)
            else:
                body.update(block)
            count += len(block)
            yield count
    return Digests(whole.hexdigest(), body.hexdigest())


def _unreadable(path: Path, error: OSError) -> ModelFileError:
    what = f"{path.name} cannot be read ({error.strerror})"
    return ModelFileError(what, field="model", value=str(path), hint="Give another file.")


def _remember(stamp: _Stamp, digests: Digests, settings: Settings) -> None:
    place = _place(stamp, settings)
    try:
        make_folder(place.parent)
        write_file(place, json.dumps({**asdict(stamp), **asdict(digests)}, indent=1).encode())
    except OutputError:  # a full or read-only disk
        pass


def _place(stamp: _Stamp, settings: Settings) -> Path:
    name = hashlib.sha256(stamp.path.encode("utf-8", "surrogateescape")).hexdigest()
    return settings.data_dir / FOLDER / f"{name[:32]}.json"


def _stamp(path: Path) -> _Stamp:
    real = path.resolve()
    now = real.stat()
    return _Stamp(str(real), now.st_size, now.st_mtime_ns, now.st_dev, now.st_ino)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and _HEX.issuperset(value)
