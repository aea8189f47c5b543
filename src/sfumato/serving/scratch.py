"""Folders for what is gone when a studio closes: pictures that were shown, films, uploads, Gradio's copies.

Each has a file that is locked as long as its studio lives. The system releases the lock however that ends, so
the next studio knows whose folders nobody needs any more. Windows has no such locks: there a folder goes when
its studio closes, and stays where that was killed.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sfumato.imaging.writing import make_folder, output_error

fcntl: Any
try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

LOCK: Final = "lock"
GRADIO: Final = "GRADIO_TEMP_DIR"  # the variable: Gradio reads it when a page is made, and at each upload
_PREFIX: Final = "sfumato-"
_COPIES: Final = "sfumato-copies-"
_OURS: Final = re.compile(rf"{_PREFIX}(copies-)?[a-z0-9_]{{8}}")
_HELD: Final[set[str]] = set()  # folders for copies, of this process


@contextmanager
def own_folder(inside: Path | None = None, prefix: str = _PREFIX) -> Generator[Path]:
    """Give a new folder that nobody guesses and nobody else may read, `inside` one or in that of the system
    for temporary files. It goes at the end, and those go first that studios left which were killed. Raises
    OutputError where it cannot be made.
    """
    base = Path(tempfile.gettempdir()) if inside is None else inside
    if inside is not None:
        make_folder(inside)
    clear_dead(base)
    with ExitStack() as stack:
        try:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base)).absolute()
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(_locked(folder))
        except OSError as error:
            raise output_error(base / prefix, error.errno) from error
        stack.callback(_empty, folder)  # while the lock is held: nobody else may be at it
        yield folder


@contextmanager
def own_copies() -> Generator[Path]:
    """Have Gradio keep uploads, and its copies of what is shown, in a folder of our own, inside the one that
    somebody asked for: what is old there is removed, and may be no other program's. Raises OutputError.
    """
    asked = os.environ.get(GRADIO)
    with own_folder(Path(asked) if asked else None, _COPIES) as folder:
        os.environ[GRADIO] = str(folder)
        _HELD.add(str(folder))
        try:
            yield folder
        finally:
            _HELD.discard(str(folder))
            if os.environ.get(GRADIO) == str(folder):
                if asked is None:
                    del os.environ[GRADIO]
                else:
                    os.environ[GRADIO] = asked


def has_copies() -> bool:
    """Tell whether Gradio keeps its files in a folder of `own_copies` already."""
    return os.environ.get(GRADIO) in _HELD


def clear_dead(base: Path) -> None:
    """Remove the folders in `base` of studios that ended without removing them: ours by their name and by
    their owner, with our lock, which nobody holds. Links are not followed.
    """
    if fcntl is None:
        return
    for one in base.glob(f"{_PREFIX}*"):
        if _OURS.fullmatch(one.name):
            with suppress(OSError):  # it has no lock, or somebody holds it
                _remove_dead(one)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Hold the lock of `folder`. Where the file system has none, the folder has no lock, and is left alone
    by others. Raises OSError.
    """
    if fcntl is None:
        yield
        return
    # Under another name until it is held: nobody may find it free.
    new = folder / f"{LOCK}.new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(folder / LOCK)
        yield
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    """Remove what is in `folder` but the lock, by which others know what it is if this is cut short."""
    with suppress(OSError):
        for one in [*folder.iterdir()]:
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            elif one.name != LOCK:
                one.unlink(missing_ok=True)


def _remove_dead(folder: Path) -> None:
    """Remove `folder` where it is ours and nobody lives in it, the lock at last. Raises OSError."""
    with ExitStack() as opened:

        def open_(name: str, flags: int, **where: int) -> int:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, **where)
            opened.callback(os.close, descriptor)
            found = os.fstat(descriptor)
            if found.st_uid != os.getuid() or not (stat.S_ISREG(found.st_mode) or flags & os.O_DIRECTORY):
                raise PermissionError(name)
            return descriptor

        # By descriptors: what has this name a moment later may be something else.
        place = open_(str(folder), os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(open_(LOCK, os.O_RDWR, dir_fd=place), fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in os.listdir(place):
            if name == LOCK:
                continue
            if stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=place)
            else:
                os.unlink(name, dir_fd=place)
        os.unlink(LOCK, dir_fd=place)
        folder.rmdir()
