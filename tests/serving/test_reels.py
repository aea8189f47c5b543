"""Films that are kept for a while: every format is written of the same frames, and old ones make way."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.keeping import metadata_of
from sfumato.errors import MissingExtraError, NotFoundError, OutputError, RecipeError
from sfumato.imaging import animation
from sfumato.imaging.animation import Frames
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.resolve import resolve
from sfumato.serving import reels
from sfumato.serving.reels import FORMATS, FRAMES, Reel, keep_reel
from tiny_models import tiny_bundle
from tiny_studio import frog


def pictures(count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3)).astype(np.uint8)


def kept(folder: Path, count: int = 3) -> Reel:
    metadata = metadata_of(resolve(frog(), tiny_bundle().defaults), "tests")
    with Frames() as frames:
        for one in pictures(count):
            frames.add(one)
        return keep_reel(folder, "a-frog", frames, (100,) * (count - 1) + (900,), metadata)


def test_frames_come_back(tmp_path: Path) -> None:
    assert np.array_equal(list(kept(tmp_path).frames()), pictures())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_written_once(tmp_path: Path, kind: str) -> None:
    reel = kept(tmp_path)
    path = reel.file(kind)
    assert path.name == f"a-frog.{kind.lower()}"
    before = path.stat().st_mtime_ns
    assert reel.file(kind).stat().st_mtime_ns == before
    if kind != "MP4":
        with Image.open(path) as moving:
            shown = []
            for number in range(3):
                moving.seek(number)
                moving.load()
                shown.append(moving.info["duration"])
        assert shown == [100, 100, 900]
    if kind == "WebP":
        assert "a frog" in read_metadata(path).parameters


def test_other_formats_are_none(tmp_path: Path) -> None:
    for kind in ("", "PNG", "../x", "webp"):
        with pytest.raises(RecipeError, match="format: is no format of films"):
            kept(tmp_path).file(kind)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        kept(tmp_path).file("MP4")
    assert "sfumato[video]" in str(caught.value)


def test_the_oldest_make_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = pictures().nbytes
    monkeypatch.setattr(reels, "ROOM", 2 * size)
    made = [kept(tmp_path) for _ in range(2)]
    for age, reel in enumerate(made):
        os.utime(reel.folder / FRAMES, (age, age))
    made[0].file("WebP")
    made.append(kept(tmp_path))
    assert made[0].file("WebP").is_file()  # what was written stays
    with pytest.raises(NotFoundError, match="made way for newer ones"):
        made[0].file("GIF")
    assert not (made[0].folder / "a-frog.gif").exists()
    assert all(reel.file("GIF").is_file() for reel in made[1:])
    monkeypatch.setattr(reels, "ROOM", 0)
    assert kept(tmp_path).file("GIF").is_file()  # the newest is there in any case


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are Unix'")
def test_a_disk_that_is_full_is_left_as_it_was(tmp_path: Path) -> None:
    import resource

    before = kept(tmp_path)
    left = sorted(tmp_path.rglob("*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pictures(3).nbytes - 1, limits[1]))
    try:
        with pytest.raises(OutputError, match="the disk is full"):
            kept(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(tmp_path.rglob("*")) == left
    assert before.file("GIF").is_file()


def test_there_is_room_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reels, "ROOM", pictures().nbytes)
    sizes: list[int] = []
    with Frames() as frames:
        for one in pictures():
            frames.add(one)

        class Watched(Frames):
            def __iter__(self) -> Iterator[NDArray[np.uint8]]:
                sizes.append(sum(file.stat().st_size for file in tmp_path.glob(f"*/{FRAMES}")))
                return super().__iter__()

        for _ in range(2):
            with Watched() as watched:
                for one in frames:
                    watched.add(one)
                metadata = metadata_of(resolve(frog(), tiny_bundle().defaults), "tests")
                keep_reel(tmp_path, "a-frog", watched, (100, 100, 900), metadata)
    assert sizes == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1  # no empty folder is left


def test_written_films_have_room_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [kept(tmp_path) for _ in range(2)]
    for age, reel in enumerate(made):
        os.utime(reel.file("GIF"), (age, age))
    size = made[1].file("GIF").stat().st_size
    monkeypatch.setattr(reels, "ROOM", size)
    made.append(kept(tmp_path))
    assert [*tmp_path.glob("*/*.gif")] == [made[1].folder / "a-frog.gif"]


def test_a_film_whose_folder_was_removed_says_no_folder(tmp_path: Path) -> None:
    reel = kept(tmp_path)
    shutil.rmtree(reel.folder)
    with pytest.raises(NotFoundError) as caught:
        reel.file("GIF")
    assert str(caught.value) == "film: this film made way for newer ones. Draw it once more."


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        kept(tmp_path / "nowhere")
