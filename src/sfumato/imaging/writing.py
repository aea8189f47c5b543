"""Write files so that each is either complete or as it was before."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sfumato.errors import OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # on disks of cameras and the like
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` at once, as `replacing` does. Raises OutputError."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, *, new: bool = False) -> Generator[BinaryIO]:
    """Yield a file to write, read and seek in; when the block ends well, it becomes `path` at once: it is
    under another name in the same folder until then, goes to the disk, and is renamed.

    Raises OutputError when that fails, and, where it must be `new`, when there is a file by then. Then, and
    when the block raises, `path` is as it was before and nothing else is left behind.
    """
    temporary = path.parent / f".sfumato-{os.urandom(8).hex()}.part"
    try:
        try:
            # "x" refuses to follow a link that somebody put there; the mode honours the umask.
            with open(temporary, "x+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if new:
                _name(temporary, path)
            else:
                os.replace(temporary, path)
        except BaseException:  # Ctrl-C too
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error.errno) from error


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
        raise output_error(folder, error.errno) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise output_error(folder, errno.EACCES)


def _name(temporary: Path, path: Path) -> None:
    """Give a file its name, unless there is something of that name."""
    try:
        path.hardlink_to(temporary)  # the one way that never replaces
        temporary.unlink()
    except FileExistsError as error:
        hint = "Remove it first, or choose another name."
        raise OutputError("is there already", field="output", value=str(path), hint=hint) from error
    except OSError as error:
        if error.errno not in _NO_LINKS or path.exists():
            raise
        temporary.rename(path)


def _sync_folder(folder: Path) -> None:
    # Without it the rename itself can be lost at a power cut. Windows cannot open folders, nor needs to.
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def output_error(path: Path, code: int | None) -> OutputError:
    """Return the error that says why nothing could be written to `path`; `code` is its errno."""
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
