"""A picture that is there, drawn again to be watched: only the animation is new."""

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.animator import Animator, frames_of
from sfumato.engine.events import Event, Picture, Started
from sfumato.engine.gathering import NAMES_ONLY, gather
from sfumato.engine.keeping import slug
from sfumato.engine.preparing import batch_of
from sfumato.engine.run import draw
from sfumato.engine.seeing import Look, Watched, watched
from sfumato.errors import RecipeError
from sfumato.imaging.animation import Frames
from sfumato.imaging.metadata import PictureMetadata
from sfumato.models.cache import ModelCache
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.serving.reels import MOST_PIXELS, Reel, keep_reel
from sfumato.settings import Settings


@dataclass(frozen=True, eq=False)
class Animating:
    """Draws a picture again, as `sfumato redo --animate` does; `draw` is what a queue takes.

    It is picture `index` of the recipe, and is drawn in the company that it had: a network rounds differently
    in batches of another size. `original (H,W,3)` is the picture as it is kept, `number` its own in the
    gallery, into which nothing goes: the film is kept in the folder `films`.
    """

    settings: Settings
    models: ModelCache
    original: NDArray[np.uint8]
    index: int
    films: Path
    number: int

    def draw(self, recipe: Recipe, preview_every: int) -> Generator[Event | Reel, None, None]:
        """Draw it, and yield the film at the end. Raises RecipeError for more pixels than a film may have,
        and what `sfumato.engine.run.draw` raises.
        """
        settings = self.settings
        found = find_model(recipe.model, settings, paths=NAMES_ONLY.model_paths)
        gathered = gather(recipe, found, settings, trust=NAMES_ONLY)
        resolved = gathered.resolved(recipe, settings).model_copy(update={"index": self.index})
        with ExitStack() as stack:
            bundle = stack.enter_context(gathered.leased(resolved, settings, self.models))
            events = draw(
                resolved,
                bundle,
                indices=batch_of(resolved, bundle, self.index),
                inputs=gathered.inputs,
                controls=gathered.controls,
                preview_every=preview_every,
            )
            animator = _Kept(self.films / f"{slug(resolved)}-{resolved.seed + self.index}.webp")
            watching = watched(events, bundle, (_One(animator, self.index),))
            differs = yield from self._without_pictures(stack.enter_context(closing(watching)))
            if animator.reel is not None:
                yield replace(animator.reel, of=self.number, differs=differs)

    def _without_pictures(
        self, events: Generator[Event | Watched, None, None]
    ) -> Generator[Event, None, int | None]:
        """Yield what is no picture, and return by how much ours differs from the original; see `Reel`."""
        differs: int | None = None
        for event in events:
            match event:
                case Started():
                    self._check_room(event)
                    yield event
                case Picture():
                    if event.index == self.index and event.pixels.shape == self.original.shape:
                        apart = np.abs(event.pixels.astype(np.int16) - self.original)
                        differs = int(apart.max(initial=0))
                case Watched():
                    pass
                case _:
                    yield event
        return differs

    def _check_room(self, started: Started) -> None:
        """Raise RecipeError where the frames would have too many pixels: those of steps are as large as they
        are drawn, and all of them become as large as the picture.
        """
        resolved, (height, width) = started.resolved, self.original.shape[:2]
        larger = () if resolved.hires is None else resolved.hires.sizes
        sizes = ((width, height), (resolved.width, resolved.height), *larger)
        most = MOST_PIXELS // max(wide * high for wide, high in sizes)
        if (frames := frames_of(started)) > most:
            hint = f"At this size, {most - 1} or fewer." if most > 1 else "Choose a smaller picture."
            raise RecipeError("are too many to be animated here", field="steps", value=frames - 1, hint=hint)


@dataclass(eq=False)
class _Kept(Animator):
    """Keeps the frames in the folder of `path`, from which every format can be written."""

    reel: Reel | None = None

    def write(
        self, path: Path, frames: Frames, durations: tuple[int, ...], metadata: PictureMetadata
    ) -> None:
        self.reel = keep_reel(path.parent, path.stem, frames, durations, metadata)


@dataclass(frozen=True, eq=False)
class _One:
    """A watcher that shows `watcher` picture `index` alone."""

    watcher: Animator
    index: int

    def start(self, started: Started) -> None:
        self.watcher.start(replace(started, indices=(self.index,)))

    def look(self, look: Look) -> None:
        if self.index not in look.indices:
            return
        row = look.indices.index(self.index)
        mine = slice(row, row + 1)
        alone = replace(
            look,
            indices=(self.index,),
            x=look.x[mine],
            x0=look.x0[mine],
            noisy=look.noisy[mine],
            clean=look.clean[mine],
            before=None if look.before is None else look.before[mine],
        )
        self.watcher.look(alone)

    def picture(self, picture: Picture) -> None:
        if picture.index == self.index:
            self.watcher.picture(picture)

    def again(self, indices: tuple[int, ...]) -> None:
        self.watcher.again(tuple(one for one in indices if one == self.index))

    def finish(self) -> tuple[Path, ...]:
        return self.watcher.finish()

    def close(self) -> None:
        self.watcher.close()
