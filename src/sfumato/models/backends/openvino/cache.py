"""Compiled graphs on disk, so that a process may begin where another one ended.

One file holds one graph, below the digest of the model and the precision: 4096 bytes of head, then what
openvino exports. The head says everything that the graph depends on and the sha256 of the rest, so that
whatever is not exactly what this process would have compiled itself is found out and not used. Nothing here
imports openvino.
"""

import hashlib
import json
import stat
import time
from collections.abc import Generator, Hashable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import OutputError
from sfumato.imaging.writing import make_folder, replacing

COMPILED: Final = "compiled"  # the folder of all models' graphs, in the data folder
FORMAT: Final = 1
HEAD_BYTES: Final = 4096  # graphs begin at a page, as openvino maps constants where they lie
SUFFIX: Final = ".graph"
_MAGIC: Final = b"sfumato graph\r\n\n"
_DIGEST_BYTES: Final = 32
_BLOCK: Final = 1 << 20
_ABANDONED: Final = 24 * 3600  # seconds after which nobody is still writing a temporary file
_REASONS: Final = {
    "model": "for another model",
    "precision": "for another precision",
    "openvino": "by another version of openvino",
    "processor": "on another processor",
    "options": "with other options",
}


@dataclass(frozen=True)
class Maker:
    """What compiled a graph: `builder_version`, and openvino's version, processor and options."""

    builder: str
    openvino: str
    processor: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class CachePlace:
    """The compiled graphs of one model: `folder` holds those of all models, `digest` is this one's.

    With `storing`, every graph that is needed is compiled and written; otherwise stored ones are used.
    """

    folder: Path
    digest: str
    storing: bool = False

    def of_precision(self, dtype: str) -> Path:
        """Return the folder of this model's graphs in the precision `dtype`."""
        return self.folder / self.digest / dtype


class GraphCache:
    """The stored graphs of one model in one precision. Safe for several threads and processes.

    `written` are the files that were written with this object, and their bytes.
    """

    def __init__(self, place: CachePlace, dtype: str, maker: Maker) -> None:
        self.storing = place.storing
        self.folder = place.of_precision(dtype)
        self._facts: dict[str, Any] = {"format": FORMAT, "model": place.digest, "precision": dtype}
        self._facts |= asdict(maker)
        self.written: dict[Path, int] = {}
        self._stale: dict[Path, str] = {}
        self._damaged: dict[Path, str] = {}
        if not self.storing:
            # Heads alone are read: it says early on what will not be used.
            with self._noting(self.folder):
                paths = sorted(path for path in self.folder.iterdir() if path.suffix == SUFFIX)
                for path in paths:
                    with self._noting(path), _opened(path) as file:
                        self._check_head(path, file)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people about stored graphs that were not used, so far. One that is there stays as it
        is, whatever else is found.
        """
        again = " To store it again, run: sfumato compile MODEL"
        notes: list[str] = []
        if self._stale:
            reason = next(iter(self._stale.values()))
            notes.append(f"What was compiled and stored {reason} is not used: it is done again.{again}")
        if self._damaged:
            path, what = next(iter(self._damaged.items()))
            notes.append(f"A compiled graph is damaged and was not used: {path} {what}.{again}")
        return tuple(notes)

    def find(self, network: str, key: Hashable) -> NDArray[np.uint8] | None:
        """Return the stored graph `key` of `network`, mapped from its file and checked to the last byte.

        None when there is none, or none that can be used; then `notes` says why. Keep the array as long as
        what openvino makes of it.
        """
        if self.storing:
            return None
        path = self._path(network, key)
        with self._noting(path), _opened(path) as file:
            head = self._check_head(path, file, graph_name(network, key))
            graph = np.memmap(file, np.uint8, "r", offset=HEAD_BYTES, shape=(head["bytes"],))
            if hashlib.sha256(graph.data).hexdigest() != head["sha256"]:
                raise _Unusable("does not hold what was written", damaged=True)
            return graph
        return None

    def reject(self, network: str, key: Hashable) -> None:
        """Note that openvino refused a graph that `find` had returned."""
        self._damaged[self._path(network, key)] = "is refused by openvino"

    @contextmanager
    def writing(self, network: str, key: Hashable) -> Generator[BinaryIO]:
        """Yield a file, positioned at HEAD_BYTES, to write the graph `key` of `network` to.

        It takes its place when the block ends well. Raises OutputError; then nothing is left behind.
        """
        make_folder(self.folder)
        path = self._path(network, key)
        if path.is_dir():
            raise _in_the_way(path)
        with replacing(path) as file:
            file.write(bytes(HEAD_BYTES))
            yield file
            num_bytes = file.seek(0, 2) - HEAD_BYTES
            # Last, so that nothing that stops early looks like a graph.
            graph = {"graph": graph_name(network, key), "bytes": num_bytes, "sha256": _sha256(file)}
            file.seek(0)
            file.write(_head({**self._facts, **graph}))
        self.written[path] = HEAD_BYTES + num_bytes

    def has_room(self, network: str, key: Hashable, limit: int) -> bool:
        """Tell whether the graph `key` of `network` may be stored unasked: what is stored has less than
        `limit` bytes, and what may be in its place is not another machine's, which might share the folder.
        """
        if self._stale.get(self._path(network, key)) == _REASONS["processor"]:
            return False
        stored = (path.stat().st_size for path in self.folder.glob(f"*{SUFFIX}"))
        with suppress(OSError):  # another process removed one
            return sum(stored) < limit
        return False

    def drop_stale(self) -> None:
        """Remove what another version stored here: it would be noted at every start, and take the room of
        what is stored next. Another machine's graphs stay. Raises OutputError.
        """
        for path, reason in list(self._stale.items()):
            if reason == _REASONS["processor"]:
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _in_the_way(path) from error

    def keep_written(self) -> None:
        """Remove every graph of this precision but those written here: older ones, and what a process that
        was killed left behind. Raises OutputError.
        """
        old = time.time() - _ABANDONED
        for path in sorted(self.folder.glob("*")):
            try:
                abandoned = path.suffix == ".part" and path.lstat().st_mtime < old
                if abandoned or (path.suffix == SUFFIX and path not in self.written):
                    path.unlink()
            except FileNotFoundError:  # another process was quicker
                pass
            except OSError as error:
                raise _in_the_way(path) from error

    def _path(self, network: str, key: Hashable) -> Path:
        name = hashlib.sha256(graph_name(network, key).encode()).hexdigest()
        return self.folder / f"{name[:32]}{SUFFIX}"

    def _check_head(self, path: Path, file: BinaryIO, name: str | None = None) -> dict[str, Any]:
        """Return the head of `file`, which is the graph called `name` (None: the one it says itself)."""
        raw = file.read(HEAD_BYTES)
        if len(raw) < HEAD_BYTES or not raw.startswith(_MAGIC):
            raise _Unusable("is no compiled graph", damaged=True)
        text = raw[len(_MAGIC) + _DIGEST_BYTES :]
        if _MAGIC + hashlib.sha256(text).digest() + text != raw:
            raise _Unusable("has a broken head", damaged=True)
        head: dict[str, Any] = json.loads(text.rstrip(b"\0"))
        for fact, value in self._facts.items():
            if head.get(fact) != value:
                raise _Unusable(_REASONS.get(fact, "by another version of Sfumato"), damaged=False)
        said = head.get("graph")
        named = hashlib.sha256(str(said).encode()).hexdigest()[:32]
        if (name is not None and said != name) or path.stem != named:
            raise _Unusable("is another graph than its name says", damaged=True)
        if head.get("bytes") != file.seek(0, 2) - HEAD_BYTES or not head["bytes"]:
            raise _Unusable("is not of the length it had", damaged=True)
        return head

    @contextmanager
    def _noting(self, path: Path) -> Generator[None]:
        """Remember why the file at `path` cannot be used, and go on."""
        try:
            yield
        except FileNotFoundError:
            pass
        except _Unusable as fault:
            (self._damaged if fault.damaged else self._stale)[path] = fault.what
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._damaged[path] = f"cannot be read ({reason})"


def graph_name(network: str, key: Hashable) -> str:
    """Return what a graph is called in its head; `key` is made of numbers, words and frozen dataclasses."""
    return f"{network} {key!r}"


def builder_version() -> str:
    """Return the digest of the code that builds graphs: what is mended there must not live on in a cache."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py*")):
        code.update(path.read_bytes())
    return code.hexdigest()[:16]


class _Unusable(Exception):
    """Why a stored graph cannot be used: it is `damaged`, or made for something else."""

    def __init__(self, what: str, *, damaged: bool) -> None:
        super().__init__(what)
        self.what = what
        self.damaged = damaged


def _in_the_way(path: Path) -> OutputError:
    hint = "Remove it, and compile again."
    return OutputError("this is in the way of compiled graphs", field="output", value=str(path), hint=hint)


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    # A pipe would make us wait for somebody to write.
    if not stat.S_ISREG(path.stat().st_mode):
        raise _Unusable("is not a file", damaged=True)
    with path.open("rb") as file:
        yield file


def _head(facts: Mapping[str, Any]) -> bytes:
    """Return the head that says `facts`: magic, the sha256 of what follows, JSON, and zeros."""
    length = HEAD_BYTES - len(_MAGIC) - _DIGEST_BYTES
    text = json.dumps(facts, sort_keys=True).encode().ljust(length, b"\0")
    if len(text) > length:
        raise ValueError(f"{len(text)} bytes are too many for the head of a graph")
    return _MAGIC + hashlib.sha256(text).digest() + text


def _sha256(file: BinaryIO) -> str:
    """Return the digest (hex) of everything after the head."""
    digest = hashlib.sha256()
    file.seek(HEAD_BYTES)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
