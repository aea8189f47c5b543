"""Save pictures so that a file is either complete or not there."""

import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.errors import OutputError, closest
from sfumato.imaging.decode import open_picture, opened
from sfumato.imaging.metadata import PictureMetadata, jpeg_options, png_info, webp_options
from sfumato.imaging.writing import output_error, write_file

__all__ = [
    "FORMAT_OF",
    "as_saved",
    "check_output",
    "encode_picture",
    "open_picture",
    "save_picture",
    "suffix_of",
]

FORMAT_OF: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
QUALITY: Final = 95


def save_picture(
    picture: NDArray[np.uint8] | Image.Image,
    path: Path,
    metadata: PictureMetadata | None = None,
    *,
    lossless: bool = False,
) -> None:
    """Write `picture`, uint8 (H,W,3) or a Pillow image, to `path`; the suffix says the format.

    PNG is exact; JPEG has quality 95 without chroma subsampling; WebP quality 95, or exact with `lossless`.

    Raises OutputError for an unknown suffix, a missing or read-only folder, or a full disk; then `path` is as
    it was before.
    """
    check_output(path)
    write_file(path, encode_picture(picture, path.suffix, metadata, lossless=lossless))


def check_output(path: Path) -> None:
    """Raise OutputError when a picture cannot be written to `path`: ask before the work of drawing it."""
    _format_of(path.suffix)
    folder = path.parent
    if not folder.is_dir():
        raise output_error(path, errno.ENOENT)
    if path.is_dir():
        raise output_error(path, errno.EISDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise output_error(path, errno.EACCES)


def encode_picture(
    picture: NDArray[np.uint8] | Image.Image,
    suffix: str,
    metadata: PictureMetadata | None = None,
    *,
    lossless: bool = False,
) -> bytes:
    """Return the bytes of the file that `save_picture` would write; `picture` as there.

    Raises OutputError for an unknown suffix, ValueError for an array of another type or shape.
    """
    image = picture if isinstance(picture, Image.Image) else _image(picture)
    buffer = BytesIO()
    match _format_of(suffix):
        case "PNG":
            image.save(buffer, "PNG", pnginfo=None if metadata is None else png_info(metadata))
        case "JPEG":
            texts = {} if metadata is None else jpeg_options(metadata)
            image.save(buffer, "JPEG", quality=QUALITY, subsampling=0, **texts)
        case _:
            texts = {} if metadata is None else webp_options(metadata)
            image.save(buffer, "WEBP", quality=QUALITY, lossless=lossless, **texts)
    return buffer.getvalue()


def as_saved(picture: NDArray[np.uint8], like: Path) -> NDArray[np.uint8]:
    """Return `picture`, uint8 (H,W,3), as it would come back from a file written the way `like` was.

    JPEG and WebP change pixels; to compare a drawing with such a file, the drawing has to go the same way.
    What the file is called does not count.

    Raises PictureError when `like` is no picture.
    """
    data = encode_picture(picture, suffix_of(like), lossless=_is_lossless_webp(like))
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def suffix_of(path: Path) -> str:
    """Return the suffix of the format that the picture at `path` has, whatever its name: .png, .jpg or .webp.

    Raises PictureError when it is none of the three.
    """
    with opened(path) as image:
        return {"PNG": ".png", "WEBP": ".webp"}.get(image.format or "", ".jpg")


def _format_of(suffix: str) -> str:
    known = FORMAT_OF.get(suffix.lower())
    if known is None:
        near = closest(suffix, FORMAT_OF)
        guess = f"Did you mean {near}? " if near is not None else ""
        hint = f"{guess}Use one of {', '.join(FORMAT_OF)}."
        raise OutputError("unknown picture format", field="output", value=suffix, hint=hint)
    return known


def _image(picture: NDArray[np.uint8]) -> Image.Image:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"a picture is uint8 (H,W,3), not {picture.dtype} {picture.shape}")
    return Image.fromarray(picture)


def _is_lossless_webp(path: Path) -> bool:
    # WebP Container Specification: the chunk VP8L comes first, or right after the 18 bytes of VP8X.
    with open(path, "rb") as file:
        head = file.read(34)
    return head[8:12] == b"WEBP" and b"VP8L" in (head[12:16], head[30:34])
