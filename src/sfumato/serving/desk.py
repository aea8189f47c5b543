"""Everything that a server works with, opened together and closed together."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sfumato.engine.events import Events
from sfumato.engine.gathering import NAMES_ONLY
from sfumato.engine.run import run
from sfumato.imaging.input_store import INPUTS
from sfumato.imaging.writing import make_folder, output_error
from sfumato.models.cache import ModelCache
from sfumato.models.hashing import Hasher
from sfumato.recipe.image import Recipe
from sfumato.serving.gallery import Gallery, Kept
from sfumato.serving.presets import Presets
from sfumato.serving.queue import JobQueue
from sfumato.serving.scratch import own_folder
from sfumato.serving.store import Store
from sfumato.serving.unplaced import unplaced
from sfumato.serving.warming import warm_up
from sfumato.settings import Settings

ALONE: Final = "me"  # who asks, where nobody else can
PREVIEW_PAUSE: Final = 0.25  # seconds from one preview to the next, at least
MOST_HANDED: Final = 1000  # copies that were shown
OLD: Final = 600.0  # seconds after which nobody can still be writing, or fetching, a file


@dataclass(frozen=True, eq=False)
class Desk:
    """What a front end that stays is given: the `gallery`, the `queue` that draws into it, and the `models`
    that are loaded. `handed` is a folder for copies that may be shown, and `films` one for films, which are
    kept for longer (see `Reel`). `hasher` takes the digests of the library's files while nothing is drawn.
    """

    settings: Settings
    gallery: Gallery
    queue: JobQueue
    models: ModelCache
    presets: Presets
    handed: Path
    films: Path
    hasher: Hasher

    def hand_over(self, kept: Kept) -> Path:
        """Return a file with the picture that may be shown to whom it belongs: under its own name, in a place
        that nobody guesses, and the same bytes, so that its recipe stays in it. Raises as `show` does, and
        NotFoundError for a picture that is gone.
        """
        with unplaced(kept.path):
            return self.show(kept.path)

    def show(self, file: Path) -> Path:
        """Return a file with the bytes of `file`, which the page may hand on. Raises OutputError where it
        cannot be written. What was shown long ago goes.
        """
        with self.new_folder() as folder:
            path = folder / file.name
            try:
                path.hardlink_to(file)
            except OSError:  # another disk, or one without links
                shutil.copyfile(file, path)
        return path

    @contextmanager
    def new_folder(self) -> Generator[Path]:
        """Give a folder for a file that is to be shown, in a place that nobody guesses; where the block
        raises, it goes. What was shown long ago goes. Raises OutputError where nothing can be written.
        """
        try:
            _make_room(self.handed)
            folder = Path(tempfile.mkdtemp(dir=self.handed))
            try:
                yield folder
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        except OSError as error:
            raise output_error(self.handed, error.errno) from error


@contextmanager
def open_desk(settings: Settings, *, warm: bool = False) -> Generator[Desk]:
    """Give a desk whose queue draws; at the end what was drawn is kept, and what waits is remembered. One
    that is `warm` loads the bundled model before somebody draws.

    Raises OutputError where the data folder cannot be used.
    """
    folder = settings.data_dir / "studio"
    store = Store(folder / "studio.db")
    models = ModelCache.of(settings)
    gallery = Gallery(folder / "pictures", store)
    _tidy(folder / "pictures", "*/")
    _tidy(settings.data_dir / INPUTS)
    _tidy(settings.data_dir / "models")
    gallery.sweep(ALONE)
    first = partial(warm_up, settings, models) if warm else None
    queue = JobQueue(partial(_draw, settings, models), gallery, store, first)
    with own_folder() as scratch:
        handed, films = scratch / "shown", scratch / "films"
        for one in (handed, films):
            make_folder(one)
        hasher = Hasher(settings, busy=lambda: queue.drawing)
        queue.start()
        hasher.start()
        try:
            yield Desk(settings, gallery, queue, models, Presets(store), handed, films, hasher)
        finally:
            hasher.stop()
            queue.close()
            store.close()


def _draw(settings: Settings, models: ModelCache, recipe: Recipe, preview_every: int) -> Events:
    return run(
        recipe,
        settings,
        preview_every=preview_every,
        preview_pause=PREVIEW_PAUSE,
        cache=models,
        trust=NAMES_ONLY,
    )


def _tidy(folder: Path, below: str = "") -> None:
    """Remove what a server that fell over had begun to write, and nobody writes any more."""
    for path in folder.glob(f"{below}.sfumato-*.part"):
        with suppress(OSError):
            newest = max(one.stat().st_mtime for one in (path, *path.rglob("*")))
            if time.time() - newest <= OLD:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _make_room(folder: Path) -> None:
    """Remove what was shown long ago where there is much of it. The page has copies of its own."""
    if len(os.listdir(folder)) <= MOST_HANDED:
        return
    for one in folder.iterdir():
        with suppress(OSError):  # another thread does the same
            # One that is empty waits for what is still being made.
            if time.time() - one.stat().st_mtime > OLD and any(one.iterdir()):
                shutil.rmtree(one)
