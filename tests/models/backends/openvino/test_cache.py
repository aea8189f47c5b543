"""Stored graphs: found when they are exactly what was asked for, never when anything is different.

The graphs are bytes here; test_networks.py and test_compiling.py store real ones.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.errors import OutputError
from sfumato.models.backends.openvino import cache as module
from sfumato.models.backends.openvino.cache import (
    HEAD_BYTES,
    CachePlace,
    GraphCache,
    Maker,
    builder_version,
    graph_name,
)
from sfumato.models.backends.openvino.unet import UNetShape

MAKER = Maker("abc", "2026.4", "a processor (BF16 FP32)", {"INFERENCE_PRECISION_HINT": "bf16"})
KEY = ("whole", False, UNetShape(2, 8, 8, 16))
GRAPH = np.random.default_rng(0).bytes(100_000)


def opened(folder: Path, maker: Maker = MAKER, *, digest: str = "d1", storing: bool = False) -> GraphCache:
    return GraphCache(CachePlace(folder, digest, storing=storing), "bfloat16", maker)


def stored(folder: Path, key: Hashable = KEY) -> Path:
    """Store GRAPH and return its file."""
    cache = opened(folder, storing=True)
    with cache.writing("unet", key) as file:
        file.write(GRAPH)
    (path,) = cache.written
    return path


def used(cache: GraphCache) -> bytes | None:
    found = cache.find("unet", KEY)
    return None if found is None else found.tobytes()


def test_what_was_stored_is_found(tmp_path: Path) -> None:
    path = stored(tmp_path)
    assert path.parent == tmp_path / "d1" / "bfloat16"
    cache = opened(tmp_path)
    assert used(cache) == GRAPH
    assert cache.notes == ()
    assert os.listdir(path.parent) == [path.name]


def test_nothing_stored_is_no_reason_for_a_note(tmp_path: Path) -> None:
    assert used(opened(tmp_path)) is None
    path = stored(tmp_path)
    path.unlink()
    cache = opened(tmp_path)
    assert used(cache) is None
    assert cache.notes == ()


def test_other_graphs_have_other_files(tmp_path: Path) -> None:
    keys = [KEY, ("both", False, KEY[2]), ("whole", True, KEY[2]), ("whole", False, UNetShape(1, 8, 8, 16))]
    assert len({stored(tmp_path, key) for key in keys}) == 4
    cache = opened(tmp_path)
    assert cache.find("decoder", KEY) is None
    assert cache.notes == ()
    assert graph_name("unet", KEY) != graph_name("unet", keys[3])


def test_a_cache_that_stores_finds_nothing(tmp_path: Path) -> None:
    stored(tmp_path)
    assert used(opened(tmp_path, storing=True)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"openvino": "2026.5"}, "by another version of openvino"),
        ({"processor": "a processor (FP32)"}, "on another processor"),
        ({"builder": "abd"}, "by another version of Sfumato"),
        ({"options": {"INFERENCE_PRECISION_HINT": "f32"}}, "with other options"),
    ],
)
def test_what_somebody_else_compiled_is_stale(change: dict[str, str], reason: str, tmp_path: Path) -> None:
    stored(tmp_path)
    stored(tmp_path, "another")
    cache = opened(tmp_path, replace(MAKER, **change))  # pyright: ignore[reportArgumentType]
    expected = f"What was compiled and stored {reason} is not used: it is done again."
    assert cache.notes == (f"{expected} To store it again, run: sfumato compile MODEL",)
    assert used(cache) is None
    assert len(cache.notes) == 1


def test_another_models_graph_is_stale(tmp_path: Path) -> None:
    stored(tmp_path)
    (tmp_path / "d1").rename(tmp_path / "d2")
    cache = opened(tmp_path, digest="d2")
    assert used(cache) is None
    assert "stored for another model is not used" in cache.notes[0]


def test_another_format_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path)
    monkeypatch.setattr(module, "FORMAT", 2)
    assert "by another version of Sfumato" in opened(tmp_path).notes[0]


def flip(at: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return damage


def rewrite(make: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: (None, path.write_bytes(make(path.read_bytes())))[0]


def unlink_and(then: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        then(path)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "magic": flip(0),
    "head": flip(200),
    "zeros after the head": flip(HEAD_BYTES - 1),
    "first byte": flip(HEAD_BYTES),
    "a byte": flip(HEAD_BYTES + 50_000),
    "last byte": flip(-1),
    "truncated": rewrite(lambda data: data[:-1]),
    "half": rewrite(lambda data: data[: len(data) // 2]),
    "head alone": rewrite(lambda data: data[:HEAD_BYTES]),
    "half a head": rewrite(lambda data: data[:100]),
    "empty": rewrite(lambda data: b""),
    "longer": rewrite(lambda data: data + b"\0"),
    "zeros": rewrite(lambda data: bytes(len(data))),
    "a picture": rewrite(lambda data: b"\x89PNG\r\n\x1a\n" + bytes(HEAD_BYTES)),
    "no JSON": rewrite(lambda data: data[:16] + b"\xff" * (HEAD_BYTES - 16) + data[HEAD_BYTES:]),
    "a list": rewrite(lambda data: data[:16] + b"[]".ljust(HEAD_BYTES - 16, b"\0") + data[HEAD_BYTES:]),
    "deep": rewrite(lambda data: data[:48] + b"[" * (HEAD_BYTES - 48) + data[HEAD_BYTES:]),
    "a folder": unlink_and(lambda path: path.mkdir()),
    "a pipe": unlink_and(lambda path: os.mkfifo(path)),
    "a link to itself": unlink_and(lambda path: path.symlink_to(path)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_damaged_is_not_used(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = stored(tmp_path)
    damage(path)
    cache = opened(tmp_path)
    assert used(cache) is None
    (note,) = cache.notes
    assert note.startswith(f"A compiled graph is damaged and was not used: {path} ")
    assert note.endswith("To store it again, run: sfumato compile MODEL")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is unreadable to this user")
def test_what_cannot_be_read_is_not_used(tmp_path: Path) -> None:
    stored(tmp_path).chmod(0)
    assert "cannot be read (Permission denied)" in opened(tmp_path).notes[0]


def test_a_graph_under_another_graphs_name_is_not_used(tmp_path: Path) -> None:
    path, other = stored(tmp_path), stored(tmp_path, "another")
    os.replace(other, path)
    cache = opened(tmp_path)
    assert used(cache) is None
    assert "is another graph than its name says" in cache.notes[0]


def test_damage_is_seen_between_loading_and_use(tmp_path: Path) -> None:
    path = stored(tmp_path)
    cache = opened(tmp_path)
    flip(-1)(path)
    assert cache.notes == ()
    assert used(cache) is None
    assert "does not hold what was written" in cache.notes[0]


def test_several_damaged_graphs_are_one_sentence(tmp_path: Path) -> None:
    for key in (KEY, "second", "third"):
        flip(0)(stored(tmp_path, key))
    (note,) = opened(tmp_path).notes
    assert " is no compiled graph." in note


def test_what_openvino_refuses_is_noted(tmp_path: Path) -> None:
    stored(tmp_path)
    cache = opened(tmp_path)
    cache.reject("unet", KEY)
    assert "is refused by openvino" in cache.notes[0]


def test_a_file_in_the_place_of_the_folder_is_noted(tmp_path: Path) -> None:
    (tmp_path / "d1").write_bytes(b"")
    cache = opened(tmp_path)
    assert used(cache) is None
    assert "cannot be read (Not a directory)" in cache.notes[0]
    with pytest.raises(OutputError, match="this is no folder"):
        stored(tmp_path)


def test_storing_again_replaces_and_removes_what_is_old(tmp_path: Path) -> None:
    old = stored(tmp_path, "old")
    damaged = stored(tmp_path)
    flip(-1)(damaged)
    left, writing = old.parent / ".sfumato-1.part", old.parent / ".sfumato-2.part"
    report = old.parent / "parity.json"
    for path in (left, writing, report):
        path.write_bytes(b"x")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (long_ago, long_ago))
    cache = opened(tmp_path, storing=True)
    with cache.writing("unet", KEY) as file:
        file.write(GRAPH)
    cache.keep_written()
    assert sorted(old.parent.iterdir()) == sorted([damaged, writing, report])
    assert used(opened(tmp_path)) == GRAPH


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    path = stored(tmp_path)
    DAMAGES["a folder"](path)
    with pytest.raises(OutputError, match="in the way of compiled graphs"):
        stored(tmp_path)
    cache = opened(tmp_path, storing=True)
    with pytest.raises(OutputError, match="in the way of compiled graphs"):
        cache.keep_written()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is read-only to this user")
def test_a_read_only_folder_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="the folder is read-only"):
        stored(tmp_path)


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()])
def test_what_stops_in_the_middle_leaves_nothing(fault: BaseException, tmp_path: Path) -> None:
    path = stored(tmp_path)
    cache = opened(tmp_path, storing=True)

    def stopped() -> None:
        with cache.writing("unet", KEY) as file:
            file.write(b"half")
            raise fault

    with pytest.raises(OutputError if isinstance(fault, OSError) else type(fault)):
        stopped()
    assert os.listdir(path.parent) == [path.name]
    assert cache.written == {}
    assert used(opened(tmp_path)) == GRAPH


KILLED = """
import os, signal, sys
from pathlib import Path
from sfumato.models.backends.openvino.cache import CachePlace, GraphCache, Maker
cache = GraphCache(CachePlace(Path(sys.argv[1]), "d1", storing=True), "bfloat16", Maker("", "", "", {}))
with cache.writing("unet", "key") as file:
    file.write(bytes(100_000))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_process_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert ran.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "d1" / "bfloat16").iterdir()
    assert left.suffix == ".part"
    cache = opened(tmp_path, Maker("", "", "", {}))
    assert cache.find("unet", "key") is None
    assert cache.notes == ()
    # Even if somebody renames it: the head comes last.
    left.rename(left.with_suffix(".graph"))
    assert "is no compiled graph" in opened(tmp_path, Maker("", "", "", {})).notes[0]


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stored(tmp_path).stat().st_mode == plain.stat().st_mode


def test_the_head_is_json_for_people(tmp_path: Path) -> None:
    head = json.loads(stored(tmp_path).read_bytes()[48:HEAD_BYTES].rstrip(b"\0"))
    assert head["graph"] == "unet ('whole', False, UNetShape(rows=2, height=8, width=8, tokens=16))"
    assert (head["model"], head["precision"], head["bytes"]) == ("d1", "bfloat16", len(GRAPH))


def test_the_builder_is_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = builder_version()
    assert ours == builder_version()
    package = Path(shutil.copytree(Path(module.__file__).parent, tmp_path / "openvino"))
    monkeypatch.setattr(module, "__file__", str(package / "cache.py"))
    assert builder_version() == ours
    with (package / "layers.py").open("a") as file:
        file.write("# mended")
    assert builder_version() != ours
