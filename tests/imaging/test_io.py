import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import OutputError, PictureError
from sfumato.imaging.io import as_saved, check_output, encode_picture, open_picture, save_picture, suffix_of
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


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match="this is a folder"):
        save_picture(PICTURE, tmp_path / "a.png")
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="read-only"):
        save_picture(PICTURE, folder / "a.png")
