import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import OutputError, PictureError
from sfumato.imaging.io import (
    as_saved,
    check_output,
    encode_picture,
    make_folder,
    open_picture,
    replacing,
    save_picture,
    suffix_of,
    write_file,
)
from sfumato.imaging.metadata import PictureMetadata, read_metadata

Y, X = np.mgrid[0:32, 0:48]
PICTURE = np.stack([X * 5, Y * 8, 255 - X * 5], axis=-1).astype(np.uint8)  # (32,48,3), smooth like a photo
METADATA = PictureMetadata('{"version":1}', "a frog\nSteps: 20", "Sfumato 0.1.0")
SUFFIXES = [".png", ".jpg", ".jpeg", ".webp", ".PNG"]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_saved_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(PICTURE, path, METADATA)
    back = np.asarray(open_picture(path, 10**6))
    assert psnr(back, PICTURE) > 35
    assert read_metadata(path) == METADATA
    assert os.listdir(tmp_path) == [path.name]


def test_png_and_lossless_webp_are_exact(tmp_path: Path) -> None:
    save_picture(PICTURE, tmp_path / "a.png")
    save_picture(PICTURE, tmp_path / "a.webp", METADATA, lossless=True)
    for name in ("a.png", "a.webp"):
        assert np.array_equal(np.asarray(open_picture(tmp_path / name, 10**6)), PICTURE)


def test_a_pillow_image_will_do(tmp_path: Path) -> None:
    save_picture(Image.fromarray(PICTURE), tmp_path / "a.png")
    assert np.array_equal(np.asarray(open_picture(tmp_path / "a.png", 10**6)), PICTURE)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("lossless", [False, True])
def test_as_saved_is_what_the_file_holds(tmp_path: Path, suffix: str, lossless: bool) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(PICTURE, path, METADATA, lossless=lossless)
    assert np.array_equal(as_saved(PICTURE, path), np.asarray(open_picture(path, 10**6)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_format_is_what_the_bytes_say(tmp_path: Path, suffix: str) -> None:
    save_picture(PICTURE, tmp_path / f"a{suffix}")
    for name in ("b", "b.jfif", "b.png"):
        path = (tmp_path / f"a{suffix}").rename(tmp_path / name)
        assert suffix_of(path) == suffix
        assert np.array_equal(as_saved(PICTURE, path), np.asarray(open_picture(path, 10**6)))
        path.rename(tmp_path / f"a{suffix}")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PictureError):
        suffix_of(tmp_path / "text.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_same_picture_gives_the_same_bytes(suffix: str) -> None:
    assert encode_picture(PICTURE, suffix, METADATA) == encode_picture(PICTURE, suffix, METADATA)


@pytest.mark.parametrize("bad", [PICTURE.astype(np.float32), PICTURE[..., 0], np.zeros((4, 4, 4), np.uint8)])
def test_other_arrays_are_a_programming_error(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_picture(bad, ".png")


def test_an_unknown_format_is_named_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"unknown picture format \(got '.pgn'\). Did you mean \.png"):
        save_picture(PICTURE, tmp_path / "a.pgn")
    with pytest.raises(OutputError, match=r"Use one of \.png"):
        check_output(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"folder does not exist.*mkdir -p"):
        save_picture(PICTURE, tmp_path / "no" / "a.png")
    with pytest.raises(OutputError, match="folder does not exist"):
        write_file(tmp_path / "no" / "a.png", b"")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match="this is a folder"):
        save_picture(PICTURE, tmp_path / "a.png")
    with pytest.raises(OutputError):
        write_file(tmp_path / "a.png", b"x")
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="read-only"):
        save_picture(PICTURE, folder / "a.png")


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
        save_picture(PICTURE, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_picture(PICTURE, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def test_a_really_full_disk_leaves_nothing(tmp_path: Path) -> None:
    # A limit on file sizes stops the write half way, as a full disk does, without filling one.
    program = (
        "import resource, sys; from pathlib import Path; from sfumato.imaging.io import write_file\n"
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
    save_picture(PICTURE, path)
    assert path.exists()
