"""The machine's memory, and what a container leaves of it."""

import errno
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.errors import OutOfMemoryError
from sfumato.models.memory import (
    ASSUMED_MEMORY,
    PREDICTING,
    available_memory,
    give_back,
    ran_out,
    resident_memory,
    system_memory,
    tells_of_memory,
)


def limit(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_without_limits_it_is_the_machines(tmp_path: Path) -> None:
    machine = system_memory(tmp_path)
    assert machine > 100_000_000
    assert system_memory() <= machine


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_containers_limit_counts_where_it_is_lower(name: str, tmp_path: Path) -> None:
    machine = system_memory(tmp_path)
    assert system_memory(limit(tmp_path, name, "64000000\n")) == 64_000_000
    # Version 1 says the largest number there is where there is no limit, version 2 says "max".
    for text in ("9223372036854771712\n", "max\n", "0\n", "", "-1\n", "\u00b2"):
        assert system_memory(limit(tmp_path, name, text)) == machine


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert system_memory() == ASSUMED_MEMORY


def test_what_is_left_is_what_the_system_says(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:    2000 kB\n", encoding="ascii")
    assert available_memory(tmp_path, meminfo) == 2000 * 1024
    assert 0 < available_memory() <= system_memory()
    # Elsewhere nobody says so.
    assert available_memory(tmp_path, tmp_path / "none") == system_memory(tmp_path)


def test_what_a_container_leaves_counts_where_it_is_less(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 9000000 kB\n", encoding="ascii")
    limit(tmp_path, "memory.max", "64000000\n")
    assert available_memory(tmp_path, meminfo) == 9_216_000_000  # it does not say what is used
    limit(tmp_path, "memory.current", "50000000\n")
    assert available_memory(tmp_path, meminfo) == 14_000_000
    # Pages of files are given back when they are needed.
    limit(tmp_path, "memory.stat", "anon 1\ninactive_file 20000000\nactive_file 10000000\nfile x\n")
    assert available_memory(tmp_path, meminfo) == 44_000_000
    limit(tmp_path, "memory.current", "99000000\n")
    assert available_memory(tmp_path, meminfo) == 0


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    limit(tmp_path, "memory/memory.limit_in_bytes", "64000000\n")
    limit(tmp_path, "memory/memory.usage_in_bytes", "60000000\n")
    limit(tmp_path, "memory/memory.stat", "total_inactive_file 5000000\ntotal_active_file 1000000\n")
    assert available_memory(tmp_path) == 10_000_000


def raised(*sizes: int) -> list[BaseException]:
    """Return what really comes when a library is asked for too much."""
    errors: list[BaseException] = []
    for ask in (lambda: np.empty(sizes), lambda: torch.empty(sizes), lambda: bytearray(sizes[0])):
        try:
            ask()
        except (MemoryError, RuntimeError) as error:
            errors.append(error)
    return errors


def test_what_libraries_say() -> None:
    errors = raised(1 << 58)
    assert len(errors) == 3
    assert all(ran_out(one) for one in errors)
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert ran_out(RuntimeError("Exception from src/plugins/intel_cpu: std::bad_alloc"))
    assert ran_out(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert ran_out(RuntimeError("can't alloc"))  # openvino, of a process with a limit
    assert ran_out(OSError(errno.ENOMEM, "Cannot allocate memory"))  # of a file that is mapped
    assert not ran_out(OSError(errno.ENOENT, "No such file"))
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not ran_out(ValueError("out of memory"))
    assert not ran_out(KeyboardInterrupt())


class Big:
    """Something that a call holds on to."""


def test_one_error_and_nothing_held() -> None:
    held: list[weakref.ref[Big]] = []

    @tells_of_memory(PREDICTING)
    def call(size: int) -> int:
        big = Big()
        held.append(weakref.ref(big))
        return len(np.empty(size))

    assert call(3) == 3
    with pytest.raises(OutOfMemoryError, match=r"predicting: the memory ran out \(Unable") as caught:
        call(1 << 58)
    assert held[1]() is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None

    @tells_of_memory(PREDICTING)
    def wrong() -> None:
        raise RuntimeError("a shape is wrong")

    with pytest.raises(RuntimeError, match="a shape is wrong"):
        wrong()


def test_giving_back_takes_cycles_along() -> None:
    big = Big()
    big.itself = big  # type: ignore[attr-defined]
    gone = weakref.ref(big)
    del big
    give_back()
    assert gone() is None


def test_the_memory_of_this_process_is_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("900 50 7 1 0 20 0\n")
    assert resident_memory(tmp_path / "statm") == 50 * os.sysconf("SC_PAGE_SIZE")
    assert resident_memory(tmp_path / "nothing") is None
