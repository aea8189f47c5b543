"""Digests taken in the background."""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.models.digests import FOLDER, digests_of, known_digests, taken
from sfumato.models.hashing import Hasher, unhashed
from sfumato.settings import Settings

LARGE = 8_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    root = tmp_path / "models"
    for place, name in (("checkpoints", "a"), ("loras", "b"), ("vae", "c")):
        (root / place).mkdir(parents=True)
        save_file({name: np.full(9, 3.0)}, root / place / f"{name}.safetensors")
    folder = root / "diffusers" / "whole"
    for part in ("unet", "vae"):
        (folder / part).mkdir(parents=True)
        save_file({part: np.full(9, 3.0)}, folder / part / "w.safetensors")
    (folder / "model_index.json").write_text("{}")
    (root / "checkpoints" / "old.ckpt").write_bytes(b"x")
    return Settings(data_dir=tmp_path / "data", model_dirs=(root,))


def test_every_file_has_its_digest_in_the_end(settings: Settings) -> None:
    paths = list(unhashed(settings))
    assert sorted(path.name for path in paths) == [
        "a.safetensors",
        "b.safetensors",
        "c.safetensors",
        "w.safetensors",
        "w.safetensors",
    ]
    with Hasher(settings, pause=0) as hasher:
        assert hasher.wait(20)
    assert (hasher.now.done, hasher.now.total, hasher.now.failed) == (5, 5, ())
    assert [known_digests(path, settings) for path in paths] == [taken(path) for path in paths]
    assert list(unhashed(settings)) == []


def test_it_can_be_stopped_within_a_file_and_goes_on(settings: Settings) -> None:
    large = settings.model_dirs[0] / "checkpoints" / "0.safetensors"  # the first
    save_file({"x": np.zeros(LARGE, np.uint8)}, large)
    hasher = Hasher(settings, pause=10)
    hasher.start()
    hasher.start()  # once is enough
    while hasher.now.num_bytes == 0 and hasher.running:
        time.sleep(0.001)
    hasher.stop()
    assert not hasher.running
    assert hasher.now.done == 0
    hasher.stop()
    assert len(list(unhashed(settings))) >= 5
    hasher = Hasher(settings, pause=0)
    hasher.start()
    assert hasher.wait(20)
    assert known_digests(large, settings) == digests_of(large, settings)


def test_what_is_stopped_in_the_pause_keeps_what_it_has(settings: Settings) -> None:
    hasher = Hasher(settings, pause=60)
    hasher.start()
    folder = settings.data_dir / FOLDER
    while not (folder.is_dir() and list(folder.glob("*.json"))):
        time.sleep(0.001)
    started = time.perf_counter()
    hasher.stop()
    assert time.perf_counter() - started < 5
    assert len(list(unhashed(settings))) == 4
    assert [path.suffix for path in folder.iterdir()] == [".json"]  # nothing half written


def test_a_file_that_goes_away_stops_nothing(settings: Settings) -> None:
    listed = list(unhashed(settings))
    hasher = Hasher(settings, pause=0.2)
    hasher.start()
    while hasher.now.total == 0:
        time.sleep(0.001)
    listed[3].unlink()
    assert hasher.wait(20)
    assert len(hasher.now.failed) == 1
    assert "cannot be read" in hasher.now.failed[0]
    assert known_digests(listed[-1], settings) is not None


def test_one_that_never_began_is_done(settings: Settings) -> None:
    hasher = Hasher(settings)
    assert hasher.wait()
    hasher.stop()
    assert threading.active_count() >= 1
    assert not hasher.running


def test_it_waits_while_there_is_something_better_to_do(settings: Settings) -> None:
    drawing = threading.Event()
    drawing.set()
    with Hasher(settings, pause=0, busy=drawing.is_set) as hasher:
        assert not hasher.wait(0.3)
        assert hasher.now.total == 0
        assert len(list(unhashed(settings))) == 5
        drawing.clear()
        assert hasher.wait(20)
        assert hasher.now.done == 5


def test_it_is_stopped_while_it_waits(settings: Settings) -> None:
    with Hasher(settings, busy=lambda: True) as hasher:
        assert hasher.running
    assert not hasher.running
    assert len(list(unhashed(settings))) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities for threads")
def test_it_has_the_lowest_priority_and_nobody_else(settings: Settings) -> None:
    seen: list[int] = []

    def busy() -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return False

    with Hasher(settings, pause=0, busy=busy) as hasher:
        assert hasher.wait(20)
    assert set(seen) == {19}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 19
