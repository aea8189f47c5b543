"""Pictures that visitors bring: bounded, written anew, and found again by what is in them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import PictureError
from sfumato.imaging.input_store import copies
from sfumato.imaging.inputs import read_inputs
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.serving.uploads import keep_upload, read_upload
from sfumato.settings import Settings

PIXELS = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, max_pixels=10_000)


def test_what_is_kept_is_found_by_recipes(settings: Settings) -> None:
    source = keep_upload(PIXELS, settings, "cat.png")
    assert source.endswith("/cat.png")
    assert keep_upload(PIXELS, settings, "cat.png") == source
    assert len(copies(settings.data_dir)) == 1
    recipe = recipe_from_mapping({"parts": [{"kind": "image", "source": source}]})
    (picture,) = read_inputs(recipe, settings).by_digest.values()
    assert np.array_equal(picture.pixels, PIXELS)


def test_nothing_but_pixels_is_kept(settings: Settings, tmp_path: Path) -> None:
    told = PngInfo()
    told.add_text("parameters", "a secret")
    path = tmp_path / "upload.png"
    Image.fromarray(PIXELS).save(path, pnginfo=told)
    keep_upload(read_upload(path, settings), settings, "upload.png")
    (copy,) = copies(settings.data_dir)
    assert b"a secret" not in copy.path.read_bytes()


def test_too_much_is_refused_before_it_is_written(settings: Settings) -> None:
    with pytest.raises(PictureError, match=r"image: more than 10000 pixels \(got '200x200'\)"):
        keep_upload(np.zeros((200, 200, 3), np.uint8), settings, "large.png")
    assert copies(settings.data_dir) == ()


def test_old_pictures_make_room(settings: Settings) -> None:
    small = Settings(settings.data_dir, max_inputs=1)
    first = keep_upload(PIXELS, small, "a.png")
    os.utime(next(iter(copies(small.data_dir))).path, (1, 1))
    second = keep_upload(255 - PIXELS, small, "b.png")
    assert first != second
    assert [one.path.name in second for one in copies(small.data_dir)] == [True]


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_what_is_no_picture_is_one_line(settings: Settings, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(data)
    with pytest.raises(PictureError):
        read_upload(path, settings)
