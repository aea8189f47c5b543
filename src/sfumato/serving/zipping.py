"""Several pictures of the gallery as one ZIP file."""

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sfumato.errors import OutputError, RecipeError
from sfumato.imaging.writing import make_folder, output_error, replacing
from sfumato.serving.gallery import Kept

MOST_PICTURES: Final = 500
MOST_BYTES: Final = 512 * 2**20  # of one, and so of each owner
ROOM: Final = 2 * 2**30  # bytes of the ZIP files of everybody; the newest always is kept
LIFE: Final = 86_400.0  # seconds that one can be had
SPARE: Final = 300 * 10**6  # bytes that stay free on the disk
NAME: Final = "sfumato.zip"
_FOLDER: Final = "zip-"
_FIRST_YEAR: Final = (1980, 1, 1, 0, 0, 0)  # that a ZIP file knows


def zip_for(owner: str, pictures: Sequence[Kept], folder: Path) -> tuple[Path, int]:
    """Write `pictures` as one ZIP file of `owner` somewhere in `folder`, where nobody guesses it, and return
    its path and how many there are in it. It is the folder from which the page sends files, so that there is
    no second copy. The one before of the same owner goes, and of all others the oldest where there is no
    room. Raises what `write_zip` raises; then nothing is left behind.
    """
    mine = f"{_FOLDER}{hashlib.sha256(owner.encode()).hexdigest()[:16]}-"
    make_folder(folder)
    _make_room(folder, mine, min(MOST_BYTES, sum(map(_size, pictures))))
    try:
        place = Path(tempfile.mkdtemp(prefix=mine, dir=folder))
    except OSError as error:
        raise output_error(folder / NAME, error.errno) from error
    try:
        return place / NAME, write_zip(pictures, place / NAME)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def write_zip(pictures: Sequence[Kept], path: Path) -> int:
    """Write the files of `pictures` into a ZIP file at `path`, each as it is kept, and return how many there
    are in it: those that vanish meanwhile are left out.

    Raises RecipeError for none and for too many, OutputError where there is no room or it cannot be written;
    then there is no file.
    """
    sizes = {one: _size(one) for one in pictures}
    there = [one for one, size in sizes.items() if size]
    total = sum(sizes.values())
    if not there:
        raise RecipeError("there is none to pack", field="pictures", hint="Choose some that are still there.")
    if len(there) > MOST_PICTURES or total > MOST_BYTES:
        what = f"{len(there):,} with {total / 1e6:,.0f} MB are too many for one ZIP file"
        hint = f"Up to {MOST_PICTURES} and {MOST_BYTES / 1e6:,.0f} MB: choose fewer, and pack twice."
        raise RecipeError(what, field="pictures", hint=hint)
    if shutil.disk_usage(path.parent).free < total + SPARE:
        raise OutputError("the disk is too full", field="ZIP", value=path.name, hint="Free some space.")
    packed = 0
    # Pictures are packed already, as PNG.
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        names: set[str] = set()
        for one in there:
            info = zipfile.ZipInfo(_free_name(one, names), _time(one.created))
            with suppress(FileNotFoundError), open(one.path, "rb") as source:
                with archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target)
                names.add(info.filename)
                packed += 1
        if not packed:
            raise RecipeError("all of them vanished meanwhile", field="pictures")
    return packed


def _make_room(folder: Path, mine: str, more: int) -> None:
    """Remove the folders in `folder` that begin with `mine`, those that are old, and then the oldest, until
    `more` bytes have room.
    """
    left: list[tuple[float, int, Path]] = []
    for one in folder.glob(f"{_FOLDER}*/"):
        with suppress(FileNotFoundError):  # another thread does the same
            written = one.stat().st_mtime
            if one.name.startswith(mine) or time.time() - written > LIFE:
                shutil.rmtree(one, ignore_errors=True)
            else:
                left.append((written, sum(file.stat().st_size for file in one.iterdir()), one))
    size = more + sum(size for _, size, _ in left)
    for _, freed, one in sorted(left):
        if size <= ROOM:
            return
        shutil.rmtree(one, ignore_errors=True)
        size -= freed


def _size(kept: Kept) -> int:
    try:
        return kept.path.stat().st_size
    except OSError:
        return 0


def _free_name(kept: Kept, taken: set[str]) -> str:
    """Return the name of a picture, which may be that of another day's."""
    name = kept.path.name
    while name in taken:
        name = f"{kept.id}-{name}"
    return name


def _time(seconds: float) -> tuple[int, int, int, int, int, int]:
    there = time.localtime(seconds)
    return max(_FIRST_YEAR, (there[0], there[1], there[2], there[3], there[4], there[5]))
