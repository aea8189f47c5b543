"""Pictures that visitors bring: read once, written anew, and named by what is in them."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import PictureError
from sfumato.imaging.decode import open_picture
from sfumato.imaging.input_store import INPUTS, make_room, mark_used
from sfumato.imaging.io import encode_picture
from sfumato.imaging.writing import make_folder, write_file
from sfumato.recipe.sources import stored_source
from sfumato.settings import Settings


def read_upload(path: Path, settings: Settings) -> NDArray[np.uint8]:
    """Return an uploaded picture, uint8 `(H,W,3)`, upright. Raises PictureError for what is none, and for
    one that is too large.
    """
    return np.asarray(open_picture(path, settings.max_pixels))


def check_upload(pixels: NDArray[np.uint8], settings: Settings) -> None:
    """Raise PictureError for a picture `(H,W,3)` with more pixels than settings allow."""
    height, width = pixels.shape[:2]
    if height * width > settings.max_pixels:
        raise PictureError(
            f"more than {settings.max_pixels} pixels",
            field="image",
            value=f"{width}x{height}",
            hint="Make it smaller first.",
        )


def keep_upload(pixels: NDArray[np.uint8], settings: Settings, name: str) -> str:
    """Keep a picture, uint8 `(H,W,3)`, where recipes find it, and return how they name it.

    It is written anew, so that nothing but its pixels is kept of what somebody sent. Raises PictureError for
    one that is too large, OutputError where it cannot be kept.
    """
    check_upload(pixels, settings)
    data = encode_picture(pixels, ".png")
    digest = hashlib.sha256(data).hexdigest()
    path = settings.data_dir / INPUTS / digest
    if path.is_file():
        mark_used(path)
    else:
        make_folder(path.parent)
        write_file(path, data)
        make_room(settings.data_dir, settings.max_inputs, {digest})
    return stored_source(digest, name)
