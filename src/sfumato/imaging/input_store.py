"""The folder of copies that `sfumato.imaging.inputs` keeps: how large it is, and what goes when full."""

import os
import re
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INPUTS: Final = "inputs"  # below the data folder

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Copy:
    """A copy of a picture: its file, its size in bytes, and when it was last used (seconds since 1970)."""

    path: Path
    num_bytes: int
    used: float


def copies(data_dir: Path) -> tuple[Copy, ...]:
    """Return the copies below the data folder, the one that was not used for longest first; never raises."""
    found: list[Copy] = []
    with suppress(OSError):
        for entry in os.scandir(data_dir / INPUTS):
            with suppress(OSError):
                if _DIGEST.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    used = max(facts.st_mtime, facts.st_atime)
                    found.append(Copy(Path(entry.path), facts.st_size, used))
    return tuple(sorted(found, key=lambda copy: (copy.used, copy.path.name)))


def mark_used(path: Path) -> None:
    """Write down that the copy at `path` is read now, as many file systems do not; never raises."""
    with suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def make_room(data_dir: Path, limit: int, in_use: Collection[str]) -> int:
    """Remove copies, those that were not used for longest first, until the rest has at most `limit` bytes.

    Those of the digests `in_use` stay, whatever their size. Returns how many were removed; never raises.
    """
    every = copies(data_dir)
    total = sum(copy.num_bytes for copy in every)
    removed = 0
    for copy in every:
        if total <= limit:
            break
        if copy.path.name in in_use:
            continue
        with suppress(OSError):
            copy.path.unlink()
            total -= copy.num_bytes
            removed += 1
    return removed
