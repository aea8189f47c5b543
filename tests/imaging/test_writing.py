import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.errors import OutputError
from sfumato.imaging.writing import make_folder, replacing, write_file


def test_a_missing_folder_or_one_of_the_same_name_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder does not exist"):
        write_file(tmp_path / "no" / "a.png", b"")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError):
        write_file(tmp_path / "a.png", b"x")
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_read_only_file_system_is_named() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(OutputError, match=r"read-only|does not exist|cannot be written"):
        write_file(Path("/proc/a.png"), b"x")  # nobody may create files there, root neither


def test_a_file_is_replaced_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"..cd")
        file.seek(0)
        file.write(b"ab")
        file.seek(0)
        assert file.read() == b"abcd"
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"abcd"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_replacement_that_stops_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def stopped() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_folders_are_made_or_the_reason_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(OutputError, match="this is no folder"):
            make_folder(path)
    if Path("/proc/self").is_dir():
        with pytest.raises(OutputError):
            make_folder(Path("/proc/a"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    for path in (tmp_path, tmp_path / "a"):
        with pytest.raises(OutputError, match="read-only"):
            make_folder(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "cannot be written")],
)
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, words: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OutputError, match=words):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.png", b"new")
    assert os.listdir(tmp_path) == []


def test_a_really_full_disk_leaves_nothing(tmp_path: Path) -> None:
    # A limit on file sizes stops the write half way, as a full disk does, without filling one.
    program = (
        "import resource, sys; from pathlib import Path; from sfumato.imaging.writing import write_file\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))\n"
        "write_file(Path(sys.argv[1]), bytes(5000))"
    )
    run = subprocess.run(
        [sys.executable, "-B", "-c", program, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutputError: output: the disk is full" in run.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_long_name_still_has_room_for_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".png")  # 255 bytes, as long as names get
    write_file(path, b"new")
    assert path.exists()


def test_a_file_that_must_be_new_replaces_none_that_came_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(OutputError, match="is there already"), replacing(path, new=True):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert [*tmp_path.iterdir()] == [path]
    path.unlink()
    with replacing(path, new=True) as file:
        file.write(b"mine")
    assert path.read_bytes() == b"mine"
    assert path.stat().st_nlink == 1
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("there", [False, True])
def test_a_disk_without_links_is_written_to_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "x"
    if not there:
        with replacing(path, new=True) as file:
            file.write(b"mine")
        assert path.read_bytes() == b"mine"
        return
    path.write_bytes(b"theirs")
    with pytest.raises(OutputError), replacing(path, new=True) as file:
        file.write(b"mine")
    assert path.read_bytes() == b"theirs"
    assert [*tmp_path.iterdir()] == [path]
