"""What is wrong with a picture is said with its name, and never with its folder."""

from pathlib import Path

import pytest

from sfumato.errors import NotFoundError, OutputError, PictureError
from sfumato.imaging.io import open_picture
from sfumato.serving.unplaced import unplaced, vanished

WHY = "Its file was removed or moved, or its disk is not there."
GONE = f"picture: is no longer there (got 'a-frog-7.png'). {WHY}"


def test_one_that_is_gone_is_called_by_its_name(tmp_path: Path) -> None:
    picture = tmp_path / "a-frog-7.png"
    assert str(vanished(picture)) == GONE
    with pytest.raises(NotFoundError) as caught, unplaced(picture):
        open_picture(picture, 100)
    assert str(caught.value) == GONE
    assert caught.value.__suppress_context__


def test_one_that_is_damaged_is_named_without_its_folder(tmp_path: Path) -> None:
    picture = tmp_path / "a-frog-7.png"
    picture.write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"got 'a-frog-7\.png'"), unplaced(picture):
        open_picture(picture, 100)
    with pytest.raises(PictureError, match="other"), unplaced(picture):
        raise PictureError("is odd", value=str(tmp_path / "other.png"))
    with pytest.raises(OutputError, match="the disk is full"), unplaced(picture):
        raise OutputError("the disk is full")
