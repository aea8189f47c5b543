"""Folders that go with their studio, however that ends, and no others."""

import os
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sfumato.errors import OutputError
from sfumato.serving.scratch import GRADIO, LOCK, clear_dead, has_copies, own_copies, own_folder

LOCKS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
LIVING = """
import sys
from pathlib import Path
from sfumato.serving.scratch import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "shown" / "deep").mkdir(parents=True)
    (folder / "shown" / "deep" / "picture.png").write_bytes(b"private")
    (folder / "upload.png").write_bytes(b"private")
    (folder / "link").symlink_to(sys.argv[2])
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def living(base: Path, linked: Path) -> Generator[tuple[subprocess.Popen[str], Path]]:
    """Have another process hold a folder in `base`, with a link to `linked` in it."""
    with subprocess.Popen(
        [sys.executable, "-c", LIVING, str(base), str(linked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def free_lock(folder: Path) -> Path:
    """Make a folder as a studio that was killed leaves one."""
    folder.mkdir()
    (folder / LOCK).touch()
    (folder / "picture.png").write_bytes(b"private")
    return folder


def test_a_folder_is_nobody_elses_and_goes(tmp_path: Path) -> None:
    with own_folder(tmp_path) as one, own_folder(tmp_path) as other:
        assert one != other
        assert one.parent == tmp_path
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
        (one / "deep").mkdir()
        (one / "deep" / "picture.png").write_bytes(b"private")
    assert list(tmp_path.iterdir()) == []


@LOCKS
def test_what_a_killed_studio_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "mine.png").write_bytes(b"mine")
    base = tmp_path / "base"
    with living(base, kept) as (process, folder):
        with own_folder(base):
            assert (folder / "shown" / "deep" / "picture.png").read_bytes() == b"private"
        process.kill()
        process.wait()
        assert (folder / "upload.png").is_file()
        with own_folder(base) as ours:
            assert list(base.iterdir()) == [ours]
    assert (kept / "mine.png").read_bytes() == b"mine"


@LOCKS
def test_only_ours_by_name_lock_and_owner_go(tmp_path: Path) -> None:
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    base.mkdir()
    free_lock(elsewhere)
    for name in ("sfumato-mine", "sfumato-bench-abcdefgh", "gradio", "tmpabcdefgh"):
        free_lock(base / name)
    (base / "sfumato-nolock00").mkdir()
    (base / "sfumato-ispipe00").mkdir()
    os.mkfifo(base / "sfumato-ispipe00" / LOCK)
    (base / "sfumato-linked00").symlink_to(elsewhere)
    (base / "sfumato-oflink00").mkdir()
    (base / "sfumato-oflink00" / LOCK).symlink_to(elsewhere / LOCK)
    (base / "sfumato-afile000").write_text("a file")
    stays = sorted(base.iterdir())
    free_lock(base / "sfumato-dead0000")
    free_lock(base / "sfumato-copies-dead0000")
    clear_dead(base)
    assert sorted(base.iterdir()) == stays
    assert (elsewhere / "picture.png").is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_those_of_somebody_else_stay(tmp_path: Path) -> None:
    folder, lock = (free_lock(tmp_path / f"sfumato-theirs0{number}") for number in (1, 2))
    os.chown(folder, 12345, 12345)
    os.chown(lock / LOCK, 12345, 12345)
    clear_dead(tmp_path)
    assert (folder / "picture.png").is_file()
    assert (lock / "picture.png").is_file()


def test_copies_are_kept_apart_from_those_of_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GRADIO, str(tmp_path / "asked"))
    assert not has_copies()
    with own_copies() as folder:
        assert has_copies()
        assert os.environ[GRADIO] == str(folder)
        assert folder.parent == tmp_path / "asked"
        (tmp_path / "asked" / "tmpabcdefgh").write_text("of another program")
    assert os.environ[GRADIO] == str(tmp_path / "asked")
    assert [one.name for one in (tmp_path / "asked").iterdir()] == ["tmpabcdefgh"]
    monkeypatch.delenv(GRADIO)
    with own_copies():
        assert has_copies()
    assert GRADIO not in os.environ


def test_where_none_can_be_made_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OutputError, match="this is no folder"), own_folder(tmp_path / "file"):
        pass
