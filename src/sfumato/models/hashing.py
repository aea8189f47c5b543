"""Digests of all models, taken in the background: for front ends that live long enough to wait for them.

`sfumato models` shows the hashes that are remembered, and reads no file for them. A server that shows a
library starts a `Hasher`, which reads one file after the other in a thread of its own and remembers each
digest as soon as it has it (`sfumato.models.digests`, written in one go). It gives way: its thread has the
lowest priority where threads have priorities, and it waits while there is something better to do.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from sfumato.errors import ModelFileError
from sfumato.models.digests import known_digests, taking
from sfumato.models.places import WEIGHTS, find_all
from sfumato.settings import Settings

PAUSE: Final = 0.05  # seconds between two files, in which others may read
LOOK: Final = 0.2  # seconds between looks at whether there is still something better to do
LOWEST: Final = 19  # of the priorities of Linux


@dataclass(frozen=True)
class Hashed:
    """How far a worker is: files that are `done`, of how many there were to do in all, the one at work and
    the bytes that were read of it, and what went wrong with files, as lines for people.
    """

    done: int = 0
    total: int = 0
    path: Path | None = None
    num_bytes: int = 0
    failed: tuple[str, ...] = ()


def unhashed(settings: Settings) -> Iterator[Path]:
    """Yield the safetensors files in the folders of models whose digests are not remembered, each once."""
    seen: set[Path] = set()
    for found in find_all(settings):
        if found.problem is not None:
            continue
        whole = found.path.is_dir()
        files = sorted(found.path.rglob(f"*{WEIGHTS}")) if whole else [found.path]
        for path in files:
            if path not in seen and path.is_file() and known_digests(path, settings) is None:
                seen.add(path)
                yield path


class Hasher:
    """A worker that takes the digests of all files that have none, in one thread, until it is done or
    stopped. It waits, within a megabyte of reading, while `busy` is true: a server says so while it draws.

    Start it again for files that came later. As a context manager it starts and stops by itself.
    """

    def __init__(
        self, settings: Settings, pause: float = PAUSE, busy: Callable[[], bool] = lambda: False
    ) -> None:
        self._settings, self._pause, self._busy = settings, pause, busy
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._now = Hashed()

    @property
    def now(self) -> Hashed:
        """How far it is; a value that does not change."""
        return self._now

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Begin, unless it is at work already."""
        with self._lock:
            if self.running:
                return
            self._stopping.clear()
            self._now = Hashed()
            # A daemon: a program that ends does not wait for 7 GB to be read.
            self._thread = threading.Thread(target=self._work, name="hashing", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop, within a megabyte of reading, and wait for it. A file that was half read is read again."""
        with self._lock:
            self._stopping.set()
            if self._thread is not None:
                self._thread.join()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is done, so many seconds at most; return whether it is."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return not self.running

    def __enter__(self) -> "Hasher":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _work(self) -> None:
        _give_way()
        paths: list[Path] = []
        self._wait_while_busy()
        with suppress(OSError):  # a folder goes away while it is looked through
            for path in unhashed(self._settings):
                paths.append(path)
                if self._wait_while_busy():
                    return
        failed: list[str] = []
        for done, path in enumerate(paths):
            self._now = Hashed(done, len(paths), path, 0, tuple(failed))
            try:
                with closing(taking(path, self._settings)) as reading:
                    for num_bytes in reading:
                        self._now = Hashed(done, len(paths), path, num_bytes, tuple(failed))
                        if self._wait_while_busy():
                            break
            except (ModelFileError, OSError) as error:  # it went away, or is still being written
                failed.append(str(error))
            if self._stopping.wait(self._pause):
                self._now = Hashed(done, len(paths), failed=tuple(failed))
                return
        self._now = Hashed(len(paths), len(paths), failed=tuple(failed))

    def _wait_while_busy(self) -> bool:
        """Wait while there is something better to do; tell whether the worker is to stop."""
        while self._busy() and not self._stopping.wait(LOOK):
            pass
        return self._stopping.is_set()


def _give_way() -> None:
    """Have this thread run when nobody else wants to. Linux alone has priorities for threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
