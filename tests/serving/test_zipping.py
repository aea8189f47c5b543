"""Pictures as one ZIP: the same bytes, names of their own, and nothing where it cannot be written."""

import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import OutputError, RecipeError
from sfumato.serving import zipping
from sfumato.serving.gallery import Kept
from sfumato.serving.zipping import write_zip, zip_for


def kept(folder: Path, number: int, name: str, created: float = 1_700_000_000.0, size: int = 100) -> Kept:
    path = folder / str(number) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes([number]) * size)
    return Kept(number, path, created, "", "m", 7, 8, 8, False, None)


def test_every_picture_is_in_it_as_it_is_kept(tmp_path: Path) -> None:
    names = ("a.png", "a.png", "2-a.png", "größe 🐸.png")
    pictures = [kept(tmp_path, number, name) for number, name in enumerate(names, start=1)]
    old = kept(tmp_path, 9, "old.png", created=0.0)
    path = tmp_path / "all.zip"
    assert write_zip([*pictures, old], path) == 5
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "2-a.png", "3-2-a.png", "größe 🐸.png", "old.png"]
        assert archive.read("2-a.png") == pictures[1].path.read_bytes()
        assert archive.getinfo("old.png").date_time == (1980, 1, 1, 0, 0, 0)
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}


def test_what_vanished_is_left_out_and_nothing_is_no_file(tmp_path: Path) -> None:
    here, gone = (kept(tmp_path, number, f"{number}.png") for number in (1, 2))
    gone.path.unlink()
    assert write_zip([gone, here], tmp_path / "some.zip") == 1
    for nothing in ([], [gone]):
        with pytest.raises(RecipeError, match="there is none to pack"):
            write_zip(nothing, tmp_path / "none.zip")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["1", "2", "some.zip"]


def test_too_many_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [kept(tmp_path, number, f"{number}.png") for number in (1, 2, 3)]
    path = tmp_path / "out" / "all.zip"
    path.parent.mkdir()
    for name, most in (("MOST_PICTURES", 2), ("MOST_BYTES", 299)):
        with monkeypatch.context() as patch:
            patch.setattr(zipping, name, most)
            with pytest.raises(RecipeError, match="are too many for one ZIP file"):
                write_zip(pictures, path)
    monkeypatch.setattr(zipping, "SPARE", 10**18)
    with pytest.raises(OutputError, match="the disk is too full"):
        write_zip(pictures, path)
    assert list(path.parent.iterdir()) == []


def test_what_cannot_be_read_leaves_nothing_half_written(tmp_path: Path) -> None:
    fine = kept(tmp_path, 1, "fine.png")
    folder = replace(fine, id=2, path=tmp_path / "1")  # has a size, and cannot be opened
    with pytest.raises(OutputError):
        write_zip([fine, folder], tmp_path / "all.zip")
    assert [one.name for one in tmp_path.iterdir()] == ["1"]


def test_of_each_owner_one_is_kept_and_old_ones_go(tmp_path: Path) -> None:
    picture, folder = kept(tmp_path, 1, "a.png"), tmp_path / "handed"
    folder.mkdir()
    (folder / "picture").mkdir()
    first, count = zip_for("me", [picture], folder)
    theirs, _ = zip_for("somebody/../else", [picture], folder)
    assert (count, first.name, theirs.parent.parent) == (1, "sfumato.zip", folder)
    second, _ = zip_for("me", [picture], folder)
    assert [one.is_file() for one in (first, theirs, second)] == [False, True, True]
    os.utime(theirs.parent, (0, 0))
    third, _ = zip_for("me", [picture], folder)
    assert sorted(one.name for one in folder.iterdir()) == ["picture", third.parent.name]


def test_of_all_owners_the_newest_have_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, folder = kept(tmp_path, 1, "a.png"), tmp_path / "copies"
    made = [zip_for(owner, [picture], folder)[0] for owner in ("a", "b", "c")]
    now = time.time()
    for age, path in enumerate((made[1], made[0], made[2])):
        os.utime(path.parent, (now - 100 + age, now - 100 + age))
    monkeypatch.setattr(zipping, "ROOM", 2 * made[0].stat().st_size + 100)
    zip_for("d", [picture], folder)
    assert [one.is_file() for one in made] == [True, False, True]
    monkeypatch.setattr(zipping, "ROOM", 0)
    newest, _ = zip_for("e", [picture], folder)
    assert [*folder.iterdir()] == [newest.parent]


def test_what_is_refused_leaves_no_folder_and_one_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    with pytest.raises(OutputError, match="this is no folder"):
        zip_for("me", [], kept(tmp_path, 1, "a.png").path)
    with pytest.raises(RecipeError, match="there is none to pack"):
        zip_for("me", [], folder)
    assert list(folder.iterdir()) == []
