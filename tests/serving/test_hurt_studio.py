"""Disks that are full, memory that runs out, and processes that are killed: a line that says so, the next
picture is drawn, and nothing half-written is left. Each happens for real, in a process of its own.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

import pytest

from hurt_studio import LARGEST, LEFT, state_of
from served_studio import bundled_settings
from sfumato.serving.desk import ALONE, OLD, open_desk
from sfumato.serving.queue import MOST_ATTEMPTS
from sfumato.serving.store import Store

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of processes are Linux' here")
OWN_MOUNTS: Final = ("unshare", "--mount", "--map-root-user")
KILLS: Final = 4
EACH: Final = 3  # jobs that are accepted before each kill
WAIT: Final = 120.0


def told_by(*command: str) -> list[dict[str, Any]]:
    """Return what a studio says of itself, see `hurt_studio`."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, env=_environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _whole(one: dict[str, Any]) -> None:
    assert one["healed"] == ["done", ""]
    assert one["sound"] == "ok"
    assert (one["parts"], one["torn"]) == (0, [])
    assert (one["files_without_rows"], one["rows_without_files"]) == ([], [])


def _may_mount() -> bool:
    if shutil.which(OWN_MOUNTS[0]) is None:
        return False
    tried = subprocess.run([*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return tried.returncode == 0


@LINUX
def test_a_full_disk_is_said_and_nothing_is_left_by_halves(tmp_path: Path) -> None:
    if not _may_mount():
        pytest.skip("no file system can be mounted here")
    told = told_by(*OWN_MOUNTS, sys.executable, "-m", "hurt_studio", "full", str(tmp_path))
    assert len(told) == len(LEFT)
    for one in told:
        _whole(one)
        state, problem = one["hurting"]
        assert state in ("refused", "failed", "done")
        assert state == "done" or "disk is full" in problem
    states = [one["hurting"][0] for one in told]
    assert (states[0], states[-1]) == ("refused", "done")
    assert "failed" in states


@LINUX
def test_a_file_that_cannot_grow_is_a_full_disk(tmp_path: Path) -> None:
    told = told_by(sys.executable, "-m", "hurt_studio", "limited", str(tmp_path))
    assert [one["hurting"][0] for one in told] == [*["refused"] * (len(LARGEST) - 1), "done"]
    for one in told:
        _whole(one)
    assert "See whether the disk is full" in told[0]["hurting"][1]


@LINUX
def test_memory_that_runs_out_is_said_and_the_next_picture_is_drawn(tmp_path: Path) -> None:
    for one in told_by(sys.executable, "-m", "hurt_studio", "starved", str(tmp_path)):
        _whole(one)
        state, problem = one["hurting"]
        assert state == "failed"
        assert "the memory ran out" in problem
        assert "Draw a smaller picture" in problem


def _accepted(stream: IO[str], number: int) -> list[str]:
    return [stream.readline().strip() for _ in range(number)]


@pytest.mark.parametrize("seed", [1, *(pytest.param(more, marks=pytest.mark.slow) for more in range(2, 8))])
def test_a_studio_that_is_killed_loses_nothing(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    accepted: list[str] = []
    for _ in range(KILLS):
        command = [sys.executable, "-m", "hurt_studio", "killed", str(tmp_path), str(EACH)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
        ) as process:
            assert process.stdout is not None
            accepted += _accepted(process.stdout, chance.randint(1, EACH))
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
        left = state_of(tmp_path)
        assert left["sound"] == "ok"
        assert (left["torn"], left["rows_without_files"]) == ([], [])
        assert len(left["files_without_rows"]) <= KILLS  # one each time, found when the gallery opens
    assert len(set(accepted)) == len(accepted) >= KILLS
    long_ago = time.time() - 2 * OLD
    for part in tmp_path.rglob("*.part"):
        os.utime(part, (long_ago, long_ago))
    with open_desk(bundled_settings(tmp_path)) as desk:
        for job in desk.queue.of(ALONE):
            *_, last = desk.queue.follow(job.id, ALONE)
            assert last.state in ("done", "failed")
    assert state_of(tmp_path) == {
        "sound": "ok",
        "parts": 0,
        "torn": [],
        "files_without_rows": [],
        "rows_without_files": [],
    }
    store = Store(tmp_path / "studio" / "studio.db")
    states = {row["id"]: row for row in store.read("SELECT id, state, attempts FROM jobs")}
    for number in accepted:
        (made,) = store.read("SELECT count(*) AS number FROM pictures WHERE job = ?", (number,))
        row = states[number]
        if row["state"] == "done":
            assert made["number"] == 2, "each picture once"
        else:
            assert (row["state"], row["attempts"]) == ("failed", MOST_ATTEMPTS)
            assert made["number"] <= 2
    assert {row["state"] for row in states.values()} <= {"done", "failed"}
    store.close()


def test_what_was_begun_by_another_studio_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "studio" / "pictures" / "2026-01-01"
    folder.mkdir(parents=True)
    old, new = folder / ".sfumato-aa.part", folder / ".sfumato-bb.part"
    for one in (old, new):
        one.write_bytes(b"half")
    long_ago = time.time() - 2 * OLD
    os.utime(old, (long_ago, long_ago))
    with open_desk(bundled_settings(tmp_path)):
        assert (old.exists(), new.exists()) == (False, True)
