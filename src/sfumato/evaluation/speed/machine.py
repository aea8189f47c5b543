"""What was measured on: the processor, the libraries, and who else was using it meanwhile."""

import os
import platform
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

LIBRARIES: Final = ("sfumato", "openvino", "torch", "diffusers", "transformers", "onnxruntime", "numpy")
_ABILITIES: Final = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_CPU_INFO: Final = Path("/proc/cpuinfo")
_CPU_TIME: Final = Path("/proc/stat")


@dataclass(frozen=True)
class Machine:
    """`cores` are those this process may use; `libraries` leaves out what is not installed. `load` is the
    number of processes that wanted to run in the last 1, 5 and 15 minutes.
    """

    processor: str
    abilities: tuple[str, ...]
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    libraries: dict[str, str]
    load: tuple[float, ...] | None


def look_around() -> Machine:
    """Return what this machine is and does now."""
    name, flags = _processor()
    return Machine(
        processor=name,
        abilities=tuple(one for one in _ABILITIES if one in flags),
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1),
        memory_bytes=(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
        ),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries={name: version for name in LIBRARIES if (version := _version(name)) is not None},
        load=os.getloadavg() if hasattr(os, "getloadavg") else None,
    )


def thread_limits(environ: dict[str, str]) -> str | None:
    """Return a sentence about environment variables that keep torch from using all cores, else None."""
    found = [f"{name}={environ[name]}" for name in _THREADS if environ.get(name)]
    if not found:
        return None
    return f"{' and '.join(found)} in the environment limits torch, and not openvino."


def free_memory() -> int | None:
    """Return how many bytes new processes can use without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


class Watch:
    """Says what share of the processor went to others since it was made (Linux only).

    Only children that have ended count as our own, so make and ask it while there are none.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def others(self) -> float | None:
        """Return the processor time of all other processes over that of all cores, in [0, 1]."""
        busy = _busy_seconds()
        passed = time.monotonic() - self._started
        if self._busy is None or busy is None or passed <= 0:
            return None
        foreign = (busy - self._busy) - (_own_seconds() - self._own)
        return min(1.0, max(0.0, foreign / (passed * (os.cpu_count() or 1))))


def _processor() -> tuple[str, frozenset[str]]:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), frozenset()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or platform.machine()
    return name, frozenset((facts.get("flags") or facts.get("Features") or "").split())


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _busy_seconds() -> float | None:
    try:
        words = _CPU_TIME.read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in user already (man 5 proc)
    ticks = [int(word) for word in words[1:9]]
    busy = sum(ticks) - ticks[3] - ticks[4]
    return busy / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
