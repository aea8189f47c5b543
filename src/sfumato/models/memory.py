"""How much memory there is, what is left of it, and what it looks like when it has run out."""

import errno
import functools
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from sfumato.errors import OutOfMemoryError

ASSUMED_MEMORY: Final = 8 * 2**30  # where the system does not tell
CGROUPS: Final = Path("/sys/fs/cgroup")
MEMINFO: Final = Path("/proc/meminfo")
# Where Linux says what a container may take: version 2 of control groups, and version 1.
_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")
# What a container takes, beside each of these limits, and where it says how much of that are pages of files.
_USED: Final = {
    "memory.max": ("memory.current", "memory.stat", ("inactive_file", "active_file")),
    "memory/memory.limit_in_bytes": (
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        ("total_inactive_file", "total_active_file"),
    ),
}
#: What libraries say when they get no memory: C++'s own, torch's allocators (processor, CUDA, Metal), oneDNN,
#: openvino.
_RAN_OUT: Final = (
    *("bad_alloc", "bad alloc", "out of memory", "out_of_memory", "not enough memory", "insufficient memory"),
    *("could not create a primitive", "could not create a memory"),  # oneDNN does not say more
    *("can't alloc", "cannot allocate", "could not allocate", "failed to allocate", "unable to allocate"),
)

#: What backends do, as `OutOfMemoryError.field` names it.
LOADING, ENCODING, PREDICTING, DECODING = "loading", "encoding", "predicting", "decoding"

_Asked = ParamSpec("_Asked")
_Given = TypeVar("_Given")


def system_memory(cgroups: Path = CGROUPS) -> int:
    """Return the bytes of memory that the processor works in: the machine's, or on Linux a container's
    limit where that is lower. All of it, not what is free, so that runs repeat exactly.

    `cgroups` is where control groups are mounted.
    """
    if not hasattr(os, "sysconf"):  # Windows
        return ASSUMED_MEMORY
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((machine, *_limits(cgroups).values())) if machine > 0 else ASSUMED_MEMORY


def available_memory(cgroups: Path = CGROUPS, meminfo: Path = MEMINFO) -> int:
    """Return the bytes of memory that a process can still take without swapping: what Linux says of the
    machine, or what a container's limit leaves where that is less; elsewhere all of `system_memory`. Pages
    of files count as free, as the system takes them back.
    """
    told = _numbers(meminfo)
    left = [1024 * told["MemAvailable:"] if "MemAvailable:" in told else system_memory(cgroups)]
    for name, limit in _limits(cgroups).items():
        used, stat_file, files = _USED[name]
        used_now = _text(cgroups / used).strip()
        if used_now.isdecimal():
            stat = _numbers(cgroups / stat_file)
            pages = sum(stat.get(one, 0) for one in files)
            left.append(max(0, limit - max(0, int(used_now) - pages)))
    return min(left)


def resident_memory(statm: Path = Path("/proc/self/statm")) -> int | None:
    """Return the bytes of memory that this process has; None where the system does not tell."""
    numbers = _text(statm).split()
    if len(numbers) < 2 or not numbers[1].isdecimal():
        return None
    return int(numbers[1]) * os.sysconf("SC_PAGE_SIZE")


def ran_out(error: BaseException) -> bool:
    """Tell whether `error` is how a library says that it got no memory: Python's MemoryError, the system's
    ENOMEM, torch's OutOfMemoryError, or a RuntimeError with words to that effect.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if not isinstance(error, RuntimeError):
        return False
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return "OutOfMemoryError" in kinds or any(words in str(error).lower() for words in _RAN_OUT)


def running_out(doing: str, error: BaseException) -> OutOfMemoryError:
    """Return what is raised in the place of an `error` that `ran_out` is true of, and let go of what the
    calls held that it ended: their tensors are most of what there is to free.
    """
    import traceback  # not needed where all goes well

    traceback.clear_frames(error.__traceback__)
    first = next(iter(str(error).strip().splitlines()), "")
    return OutOfMemoryError(
        f"the memory ran out ({first})" if first else "the memory ran out",
        field=doing,
        hint="Draw smaller pictures, close other programs, or try --offload sequential.",
    )


def tells_of_memory(doing: str) -> Callable[[Callable[_Asked, _Given]], Callable[_Asked, _Given]]:
    """Return a decorator of a backend's call: it raises OutOfMemoryError, with `doing` as the field, where
    memory runs out.
    """

    def decorate(call: Callable[_Asked, _Given]) -> Callable[_Asked, _Given]:
        @functools.wraps(call)
        def guarded(*args: _Asked.args, **kwargs: _Asked.kwargs) -> _Given:
            try:
                return call(*args, **kwargs)
            except (MemoryError, OSError, RuntimeError) as error:
                if not ran_out(error):
                    raise
                raised = running_out(doing, error)
            raise raised

        return guarded

    return decorate


def give_back() -> None:
    """Have what nothing refers to any more given back to the system: Python's cycles, what the C library
    keeps for later (glibc's), and what torch keeps of a GPU.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim; None elsewhere."""
    if sys.platform != "linux":
        return None
    import ctypes  # not needed where nothing is ever dropped

    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # musl
        return None


def _limits(cgroups: Path) -> dict[str, int]:
    """Return the limits that are set, by the file that says so."""
    limits: dict[str, int] = {}
    for name in _LIMITS:
        text = _text(cgroups / name).strip()
        if text.isdecimal() and int(text) > 0:  # version 2 says "max" where there is no limit
            limits[name] = int(text)
    return limits


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers in a file of lines as "name number"."""
    words = [line.split() for line in _text(path).splitlines()]
    return {one[0]: int(one[1]) for one in words if len(one) > 1 and one[1].isdecimal()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
