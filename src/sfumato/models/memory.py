"""How much memory there is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ASSUMED_MEMORY: Final = 8 * 2**30  # where the system does not tell
CGROUPS: Final = Path("/sys/fs/cgroup")
# Where Linux says what a container may take: version 2 of control groups, and version 1.
_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")


def system_memory(cgroups: Path = CGROUPS) -> int:
    """Return the bytes of memory that the processor works in: the machine's, or on Linux a container's
    limit where that is lower. All of it, not what is free, so that runs repeat exactly.

    `cgroups` is where control groups are mounted.
    """
    if not hasattr(os, "sysconf"):  # Windows
        return ASSUMED_MEMORY
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((machine, *_limits(cgroups))) if machine > 0 else ASSUMED_MEMORY


def _limits(cgroups: Path) -> Iterator[int]:
    for name in _LIMITS:
        try:
            text = (cgroups / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text.isdecimal() and int(text) > 0:  # version 2 says "max" where there is no limit
            yield int(text)
