"""Everything that a server works with, opened together and closed together."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sfumato.engine.events import Events
from sfumato.engine.gathering import NAMES_ONLY
from sfumato.engine.run import run
from sfumato.models.cache import ModelCache
from sfumato.recipe.image import Recipe
from sfumato.serving.gallery import Gallery, Kept
from sfumato.serving.queue import JobQueue
from sfumato.serving.store import Store
from sfumato.settings import Settings

ALONE: Final = "me"  # who asks, where nobody else can


@dataclass(frozen=True, eq=False)
class Desk:
    """What a front end that stays is given: the `gallery`, the `queue` that draws into it, and the `models`
    that are loaded. `handed` is a folder for copies that may be shown.
    """

    settings: Settings
    gallery: Gallery
    queue: JobQueue
    models: ModelCache
    handed: Path

    def hand_over(self, kept: Kept) -> Path:
        """Return a file with the picture that may be shown to whom it belongs: under its own name, in a place
        that nobody guesses, and the same bytes, so that its recipe stays in it.
        """
        return self.show(kept.path)

    def show(self, file: Path) -> Path:
        """Return a file with the bytes of `file`, which the page may hand on."""
        path = Path(tempfile.mkdtemp(dir=self.handed)) / file.name
        try:
            path.hardlink_to(file)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, path)
        return path


@contextmanager
def open_desk(settings: Settings) -> Generator[Desk]:
    """Give a desk whose queue draws; at the end what was drawn is kept, and what waits is remembered.

    Raises OutputError where the data folder cannot be used.
    """
    folder = settings.data_dir / "studio"
    store = Store(folder / "studio.db")
    models = ModelCache.of(settings)
    gallery = Gallery(folder / "pictures", store)
    gallery.sweep(ALONE)
    queue = JobQueue(partial(_draw, settings, models), gallery, store)
    handed = Path(tempfile.mkdtemp(prefix="sfumato-"))
    queue.start()
    try:
        yield Desk(settings, gallery, queue, models, handed)
    finally:
        queue.close()
        store.close()
        shutil.rmtree(handed, ignore_errors=True)


def _draw(settings: Settings, models: ModelCache, recipe: Recipe, preview_every: int) -> Events:
    return run(recipe, settings, preview_every=preview_every, cache=models, trust=NAMES_ONLY)
