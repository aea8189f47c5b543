"""The machine's memory, and what a container leaves of it."""

import os
from pathlib import Path

import pytest

from sfumato.models.memory import ASSUMED_MEMORY, system_memory


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
