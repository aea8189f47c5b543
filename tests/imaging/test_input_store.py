"""The folder of copies does not grow without end."""

import os
from pathlib import Path

import pytest

from sfumato.imaging.input_store import INPUTS, copies, make_room, mark_used


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three copies of 100 bytes, "a..." the one that was not used for longest; and a file of somebody's."""
    folder = tmp_path / INPUTS
    folder.mkdir()
    for age, letter in ((300, "a"), (200, "b"), (100, "c")):
        path = folder / (letter * 64)
        path.write_bytes(b"x" * 100)
        os.utime(path, (10**9 - age, 10**9 - age))
    (folder / "notes.txt").write_bytes(b"x" * 1000)
    return tmp_path


def names(data: Path) -> list[str]:
    return [copy.path.name[0] for copy in copies(data)]


def test_copies_come_in_the_order_of_their_use(data: Path) -> None:
    assert names(data) == ["a", "b", "c"]
    assert [copy.num_bytes for copy in copies(data)] == [100, 100, 100]
    mark_used(data / INPUTS / ("a" * 64))
    assert names(data) == ["b", "c", "a"]
    assert copies(data / "none") == ()
    mark_used(data / "none")


def test_what_was_not_used_for_longest_goes(data: Path) -> None:
    assert make_room(data, 300, ()) == 0
    assert make_room(data, 200, ()) == 1
    assert names(data) == ["b", "c"]
    assert make_room(data, 0, ()) == 2
    assert [path.name for path in (data / INPUTS).iterdir()] == ["notes.txt"]


def test_what_is_in_use_stays(data: Path) -> None:
    assert make_room(data, 150, ("a" * 64,)) == 2
    assert names(data) == ["a"]
    assert make_room(data, 0, ("a" * 64,)) == 0
    assert names(data) == ["a"]


def test_links_lead_nowhere(data: Path) -> None:
    (data / "precious").write_bytes(b"x" * 5000)
    (data / INPUTS / ("d" * 64)).symlink_to(data / "precious")
    assert names(data) == ["a", "b", "c"]
    make_room(data, 0, ())
    assert (data / "precious").is_file()
