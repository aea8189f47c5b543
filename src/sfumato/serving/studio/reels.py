"""Films that were drawn: their frames, kept for a while, so that each format is written when it is wanted.

They lie in the folder of what may be shown (see `Desk`), each in a folder of its own that nobody guesses.
"""

import tempfile
from collections.abc import Iterator
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
ROOM: Final = 2**30  # bytes of frames that are kept; the newest film always is
FORMATS: Final = ("WebP", "GIF", "MP4")


@dataclass(frozen=True, eq=False)
class Reel:
    """A film in `folder`: `shape` is `(N,H,W,3)`, `durations` milliseconds, one a frame, and `name` what its
    files are called, without a suffix.
    """

    folder: Path
    name: str
    shape: tuple[int, ...]
    durations: tuple[int, ...]
    metadata: PictureMetadata

    def file(self, kind: str) -> Path:
        """Return the film as one of `FORMATS`, written where it was not yet. Raises RecipeError for another,
        NotFoundError for a film that made way for newer ones, OutputError, and MissingExtraError for an MP4
        where that cannot be written.
        """
        if kind not in FORMATS:
            raise RecipeError("is no format of films", field="format", hint=f"Use {', '.join(FORMATS)}.")
        path = self.folder / f"{self.name}.{kind.lower()}"
        if not path.is_file():
            write_animation(path, self.frames(), self.durations, self.metadata)
        return path

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, uint8 `(H,W,3)`. Raises NotFoundError as `file` does."""
        try:
            pixels = np.memmap(self.folder / FRAMES, np.uint8, "r", shape=self.shape)
        except OSError as error:
            hint = "Draw it once more."
            raise NotFoundError("this film made way for newer ones", field="film", hint=hint) from error
        for one in pixels:
            yield np.asarray(one)


def keep_reel(
    handed: Path, name: str, frames: Frames, durations: tuple[int, ...], metadata: PictureMetadata
) -> Reel:
    """Keep a film in a new folder in `handed`, and let the oldest go where there is no room. Raises
    OutputError where it cannot be written.
    """
    assert frames.shape is not None
    try:
        folder = Path(tempfile.mkdtemp(dir=handed))
        with (folder / FRAMES).open("wb") as file:
            for one in frames:
                file.write(one.tobytes())
    except OSError as error:
        raise output_error(handed / FRAMES, error.errno) from error
    _make_room(handed, folder)
    return Reel(folder, name, (len(frames), *frames.shape), durations, metadata)


def _make_room(handed: Path, newest: Path) -> None:
    """Remove frames, those of the oldest first, until the rest has `ROOM`. What was written of them stays."""
    sizes: list[tuple[float, int, Path]] = []
    for file in handed.glob(f"*/{FRAMES}"):
        with suppress(OSError):  # another thread does the same
            sizes.append((file.stat().st_mtime, file.stat().st_size, file))
    over = sum(size for _, size, _ in sizes) - ROOM
    for _, size, file in sorted(sizes):
        if over <= 0:
            return
        if file.parent != newest:
            with suppress(OSError):
                file.unlink()
            over -= size
