"""Films that were drawn: their frames, kept for a while, so that each format is written when it is wanted.

They lie in a folder of the desk, each in a folder of its own that nobody guesses.
"""

import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sfumato.errors import NotFoundError, RecipeError
from sfumato.imaging.animation import Frame, Frames, write_animation
from sfumato.imaging.metadata import PictureMetadata
from sfumato.imaging.writing import output_error

FRAMES: Final = "frames"  # the file: bytes of all frames, one after the other
MOST_PIXELS: Final = 2**27  # of all frames of one together
ROOM: Final = 2**30  # bytes of frames that are kept, and of written films; the newest frames always are
FORMATS: Final = ("WebP", "GIF", "MP4")


@dataclass(frozen=True, eq=False)
class Reel:
    """A film in `folder`: `shape` is `(N,H,W,3)`, `durations` milliseconds, one a frame, and `name` what its
    files are called, without a suffix.

    One that shows how a picture came about is `of` that number in the gallery, 0 for any other film;
    `differs` says by how much its last frame differs from that picture at most, of 255: 0 where it is the
    same, None where it has not even its size.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    durations: tuple[int, ...]
    metadata: PictureMetadata
    of: int = 0
    differs: int | None = 0

    def file(self, kind: str) -> Path:
        """Return the film as one of `FORMATS`, written where it was not yet. Raises RecipeError for another,
        NotFoundError for a film that made way for newer ones, OutputError, and MissingExtraError for an MP4
        where that cannot be written.
        """
        if kind not in FORMATS:
            raise RecipeError("is no format of films", field="format", hint=f"Use {', '.join(FORMATS)}.")
        path = self.folder / f"{self.name}.{kind.lower()}"
        if path.is_file():
            return path
        if not (self.folder / FRAMES).is_file():
            raise _gone()
        try:
            write_animation(path, self.frames(), self.durations, self.metadata)
        except OSError as error:
            raise output_error(path, error.errno) from error
        return path

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, uint8 `(H,W,3)`. Raises NotFoundError as `file` does."""
        try:
            pixels = np.memmap(self.folder / FRAMES, np.uint8, "r", shape=self.shape)
        except OSError as error:
            raise _gone() from error
        for one in pixels:
            yield np.asarray(one)


def keep_reel(
    films: Path, name: str, frames: Frames, durations: tuple[int, ...], metadata: PictureMetadata
) -> Reel:
    """Keep a film in a new folder in `films`, after the oldest went where there is no room. Raises
    OutputError where it cannot be written; then nothing of it is left.
    """
    assert frames.shape is not None
    shape = (len(frames), *frames.shape)
    _make_room(films.glob(f"*/{FRAMES}"), ROOM - math.prod(shape))
    _make_room(films.glob("*/*.*"), ROOM)
    try:
        folder = Path(tempfile.mkdtemp(dir=films))
        try:
            with (folder / FRAMES).open("wb") as file:
                for one in frames:
                    file.write(one.tobytes())
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise output_error(films / FRAMES, error.errno) from error
    return Reel(folder, name, shape, durations, metadata)


def _make_room(files: Iterable[Path], room: int) -> None:
    """Remove the oldest of `files`, and folders that are empty then, until the rest has `room` bytes."""
    sizes: list[tuple[float, int, Path]] = []
    for file in files:
        with suppress(OSError):  # another thread does the same
            sizes.append((file.stat().st_mtime, file.stat().st_size, file))
    over = sum(size for _, size, _ in sizes) - room
    for _, size, file in sorted(sizes):
        if over <= 0:
            return
        with suppress(OSError):
            file.unlink()
            file.parent.rmdir()
        over -= size


def _gone() -> NotFoundError:
    hint = "Draw it once more."
    return NotFoundError("this film made way for newer ones", field="film", hint=hint)
