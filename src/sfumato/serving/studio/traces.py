"""Folders for the traces that the page shows: below the data folder, and never more than a few of them."""

import re
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from sfumato.engine.animator import SECONDS, Shown
from sfumato.engine.keeping import metadata_of
from sfumato.engine.trace_folder import own_trace_folder
from sfumato.errors import NotFoundError, OutputError
from sfumato.imaging.animation import Frames, eased, write_animation
from sfumato.imaging.io import open_picture
from sfumato.imaging.writing import make_folder
from sfumato.recipe.image import Resolved

MOST: Final = 24
MOST_PIXELS: Final = 2**28  # drawn here, whatever the limits are now
FINAL: Final = "final.png"
_NAME: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Traces:
    """The folders in `folder`; a new one takes the place of the oldest when there are `most`. Files beside a
    folder, with its name and the suffix .json, go with it.
    """

    folder: Path
    most: int = MOST
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new(self) -> Path:
        """Return a new folder that nobody else is given. Raises OutputError."""
        with self._lock:
            make_folder(self.folder)
            ours = [one for one in self.folder.iterdir() if _NAME.fullmatch(one.name) and one.is_dir()]
            by_age = sorted(ours, key=lambda one: one.stat().st_mtime)
            for old in by_age[: max(0, len(by_age) - self.most + 1)]:
                own_trace_folder(old).clear()
                with suppress(OSError):  # what is not ours stays
                    old.rmdir()
            for beside in self.folder.glob("*.json"):  # see learn_kept
                trace = self.folder / beside.name.split(".")[0]
                if _NAME.fullmatch(trace.name) and not trace.exists() and beside.is_file():
                    beside.unlink(missing_ok=True)
            path = self.folder / secrets.token_hex(8)
            make_folder(path)
            return path


def animate(trace: Path, resolved: Resolved, backend: str, shown: Shown, path: Path) -> None:
    """Write the steps in the folder `trace` as an animation to `path`, whose suffix says in which format.

    `shown` is what is seen on the way, as in `sfumato.engine.animator`. Raises NotFoundError for a trace that
    made way for newer ones, OutputError, and MissingExtraError for an MP4 where that cannot be written.
    """
    # The last step's is the picture itself.
    steps = sorted(trace.glob(f"step-*-{shown}.png"))[:-1]
    if not (trace / FINAL).is_file():
        hint = "Press Show me once more."
        raise NotFoundError("This drawing made way for newer ones", hint=hint)
    try:
        with Frames() as frames:
            for one in (*steps, trace / FINAL):
                frames.add(np.asarray(open_picture(one, MOST_PIXELS)))
            write_animation(path, frames, eased(len(frames), seconds=SECONDS), metadata_of(resolved, backend))
    except OSError as error:
        raise OutputError("The steps of this drawing cannot be read") from error
