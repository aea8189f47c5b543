"""What visitors read of errors: in plain words, and from a studio whose data folder fails."""

import errno
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from page_client import Visitor
from served_studio import bundled_settings, served_studio
from sfumato.errors import ModelFileError, OutputError
from sfumato.imaging.writing import output_error
from sfumato.serving.guard import USER
from sfumato.serving.studio.telling import without_folders

HOME = Path("/home/Ada Lovelace/my pictures")
NAMED = ("Ada", "Lovelace", "pictures", "/home")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOENT, errno.EISDIR, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("kind", [str, lambda error: error], ids=["line", "error"])
def test_files_are_named_and_folders_are_not(code: int, kind: type) -> None:
    said = without_folders(kind(output_error(HOME / "a frog.png", code)))
    assert "'a frog.png'" in said
    assert not [one for one in NAMED if one in said]


def test_a_place_that_was_cut_short_is_left_out() -> None:
    error = output_error(HOME / ("deep " * 60) / "frog.png", errno.ENOSPC)
    assert without_folders(str(error)) == "output: the disk is full (got '...'). Free some space."
    assert without_folders(error) == "output: the disk is full (got 'frog.png'). Free some space."


def test_places_in_messages_go_as_well() -> None:
    error = OutputError(f"{HOME}/studio.db cannot be opened", field="data", value=str(HOME / "studio.db"))
    assert without_folders(error) == "data: studio.db cannot be opened (got 'studio.db')"
    assert without_folders(OSError(13, "Permission denied", "/srv/models/x")).endswith("denied: 'x'")
    assert without_folders(r"got C:\Users\ada\frog.png") == "got frog.png"


@pytest.mark.parametrize("before", [":", "[", "\u2039", ",", "`", '"', "(", "=", " ", "'"])
@pytest.mark.parametrize(
    "place",
    [
        "/srv/ada/frog.png",
        "file:///srv/ada/frog.png",
        r"\\srv\ada\frog.png",
        r"\\\\srv\\ada\\frog.png",
        r"C:\srv\ada\frog.png",
        "//srv/ada/frog.png",
    ],
)
def test_places_are_found_after_any_mark(before: str, place: str) -> None:
    assert without_folders(f"got{before}{place} there") == f"got{before}frog.png there"
    hinted = without_folders(f"folder: unusable (got 'x'). Try{before}{place} there")
    assert hinted == "folder: unusable (got 'x')"


def test_folders_are_not_cut_from_other_names() -> None:
    error = OutputError("/home/u/secret is no folder of /home/u/s", field="data", value="/home/u/s")
    said = without_folders(error)
    assert said == "data: secret is no folder of s (got 's')"
    error = OutputError(
        "not /home/u/s, but /home/u/s-old. And /home/u/t/x, /home/u/s", field="data", value="/home/u/s"
    )
    assert without_folders(error) == "data: not s, but s-old. And x, s (got 's')"


@pytest.mark.parametrize(
    "line",
    [
        "model: unknown (got 'tiny'). Did you mean toy/tiny?",
        "see https://huggingface.co/a/b",
        "1/2",
        "at:https://a.b/c/d",
        "http://a.b/c",
        "a:1/2",
        "and/or",
    ],
)
def test_what_is_no_place_stays(line: str) -> None:
    assert without_folders(line) == line
    assert without_folders(ModelFileError(line)) == line


def photo() -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize("password", [None, "open sesame"])
def test_whoever_came_with_a_password_sees_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str | None
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "shown"))
    home = tmp_path / "the home"
    auth = None if password is None else (USER, password)
    with (
        served_studio(bundled_settings(home), None, password) as served,
        Visitor(served.url, auth) as visitor,
    ):
        visitor.open()
        canvas = {"background": visitor.upload("frog.png", photo()), "layers": [], "composite": None}
        (home / "inputs").write_bytes(b"a file where a folder should be")
        said = visitor.press("sf-edit-draw", task="change", prompt="a frog", canvas=canvas).progress
        assert "this is no folder (got &#x27;" in said
        assert (str(home) in said) is (password is None)
        assert ("the home" in said) is (password is None)
        with closing(sqlite3.connect(home / "studio" / "studio.db")) as damaged:
            damaged.execute("ALTER TABLE jobs RENAME TO lost")
        said = visitor.press(prompt="a frog").progress
        assert "no such table: jobs (got &#x27;" in said
        assert (str(home) in said) is (password is None)
        with closing(sqlite3.connect(home / "studio" / "studio.db")) as mended:
            mended.execute("ALTER TABLE lost RENAME TO jobs")
