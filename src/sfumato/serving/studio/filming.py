"""A film from one prompt, or one seed, to the next: drawn as `sfumato morph` draws it, into no gallery."""

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.engine.events import Event, Picture, Started
from sfumato.engine.gathering import NAMES_ONLY, gather
from sfumato.engine.keeping import metadata_of, slug
from sfumato.engine.morph import draw_frames, resolved_frames
from sfumato.errors import RecipeError
from sfumato.imaging.animation import Frames
from sfumato.models.cache import ModelCache
from sfumato.models.load import find_model
from sfumato.recipe.codec import to_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.reels import MOST_PIXELS, Reel, keep_reel
from sfumato.serving.studio.film_forms import Wish
from sfumato.settings import Settings


@dataclass(frozen=True, eq=False)
class Filming:
    """Draws a film, and keeps it in the folder `films`; `draw` is what a queue takes."""

    settings: Settings
    models: ModelCache
    wish: Wish
    films: Path

    def draw(self, recipe: Recipe, preview_every: int) -> Generator[Event | Reel, None, None]:
        """Draw all frames, and yield the film at the end. Raises RecipeError for more pixels than a film may
        have, and what `draw_frames` raises.
        """
        settings, wanted = self.settings, self.wish.frames
        found = find_model(recipe.model, settings, paths=NAMES_ONLY.model_paths)
        gathered = gather(recipe, found, settings, trust=NAMES_ONLY, frames=wanted)
        frames = resolved_frames(wanted, gathered, settings)
        first = frames[0]
        # Hires comes after the width and height of a recipe.
        width, height = (first.width, first.height) if first.hires is None else first.hires.sizes[-1]
        most = MOST_PIXELS // (width * height)
        if len(frames) > most:
            hint = f"At this size, {most} or fewer." if most > 1 else "Draw smaller ones."
            raise RecipeError("are too many here", field="pictures", value=len(frames), hint=hint)
        with ExitStack() as stack:
            bundle = stack.enter_context(gathered.leased(frames[0], settings, self.models))
            drawn = stack.enter_context(Frames())
            events = stack.enter_context(closing(draw_frames(frames, bundle)))
            yield from self._kept(events, frames[0], drawn)

    def _kept(
        self, events: Generator[Event, None, None], first: Resolved, drawn: Frames
    ) -> Generator[Event | Reel, None, None]:
        backend = ""
        for event in events:
            match event:
                case Picture():
                    drawn.add(event.pixels)
                    continue
                case Started():
                    backend = event.backend
                case _:
                    pass
            yield event
        metadata = replace(metadata_of(first, backend), morph_json=to_json(self.wish.morph))
        name = f"{slug(first)}-morph"
        yield keep_reel(self.films, name, drawn, self.wish.durations, metadata)
