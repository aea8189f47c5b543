"""Save pictures so that a file is either complete or not there."""

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.errors import OutputError, closest
from sfumato.imaging.decode import open_picture, opened
from sfumato.imaging.metadata import PictureMetadata, jpeg_options, png_info, webp_options

__all__ = [
    "FORMAT_OF",
    "as_saved",
    "check_output",
    "encode_picture",
    "make_folder",
    "open_picture",
    "replacing",
    "save_picture",
    "suffix_of",
    "write_file",
]

FORMAT_OF: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
QUALITY: Final = 95

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


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
        raise _failed(path, errno.ENOENT)
    if path.is_dir():
        raise _failed(path, errno.EISDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _failed(path, errno.EACCES)


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


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` at once, as `replacing` does. Raises OutputError."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """Yield a file to write, read and seek in; when the block ends well, it becomes `path` at once: it is
    under another name in the same folder until then, goes to the disk, and is renamed.

    Raises OutputError when that fails. Then, and when the block raises, `path` is as it was before and
    nothing else is left behind.
    """
    temporary = path.parent / f".sfumato-{secrets.token_hex(8)}.part"
    try:
        try:
            # "x" refuses to follow a link that somebody put there; the mode honours the umask.
            with open(temporary, "x+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C too
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _failed(path, error.errno) from error


def make_folder(folder: Path) -> None:
    """Make `folder`, and those above it, where they are missing. Raises OutputError when it cannot be made or
    written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        hint = "Remove the file in its place, or choose another folder."
        raise OutputError("this is no folder", field="output", value=str(folder), hint=hint) from error
    except OSError as error:
        raise _failed(folder, error.errno) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _failed(folder, errno.EACCES)


def _sync_folder(folder: Path) -> None:
    # Without it the rename itself can be lost at a power cut. Windows cannot open folders, nor needs to.
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _failed(path: Path, code: int | None) -> OutputError:
    value = str(path)
    if code in _FULL:
        return OutputError("the disk is full", field="output", value=value, hint="Free some space.")
    if code in _MISSING:
        hint = f"Create the folder first: mkdir -p {path.parent}"
        return OutputError("the folder does not exist", field="output", value=value, hint=hint)
    if code in _FORBIDDEN:
        hint = "Choose a folder that you may write to."
        return OutputError("the folder is read-only", field="output", value=value, hint=hint)
    if code == errno.EISDIR:
        hint = f"Name a file in it, for example {path / 'picture.png'}"
        return OutputError("this is a folder", field="output", value=value, hint=hint)
    reason = "unknown reason" if code is None else os.strerror(code)
    return OutputError(f"the file cannot be written: {reason}", field="output", value=value)


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
