"""Models that are loaded before they are drawn with: what the queue does for the tab Models."""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from sfumato.engine.events import Picture, StepDone
from sfumato.engine.gathering import NAMES_ONLY, gather
from sfumato.engine.run import draw
from sfumato.errors import PictureError, RecipeError
from sfumato.models.backends.selection import choose
from sfumato.models.cache import ModelCache
from sfumato.models.load import find_model
from sfumato.models.memory import resident_memory
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.jobs import Worked
from sfumato.settings import Settings

LOADED: int = 60  # percent: what is left is compiling


def recipe_to_load(name: str) -> Recipe:
    """Return a recipe that has the model called `name` do as little as it can. Raises RecipeError."""
    return Recipe(model=name, steps=1, seed=0, parts=(TextPart(prompt="a"),))


@dataclass(eq=False)
class Warming:
    """Loads the model of a recipe into `models`, to stay there; `draw` is what a queue takes. When the job is
    done, `seconds` says how long it took, and `before` and `after` how many bytes of memory the process had;
    None where the system does not tell.

    What is compiled when it is first needed, as openvino does, is needed at once: a picture is drawn in one
    step, and forgotten.
    """

    settings: Settings
    models: ModelCache
    seconds: float = 0.0
    before: int | None = None
    after: int | None = None

    def draw(self, recipe: Recipe, preview_every: int) -> Generator[Worked, None, None]:
        """Yield how far it is. Raises as `sfumato.engine.run.run` does."""
        began = time.monotonic()
        self.before = resident_memory()
        yield Worked(0)
        found = find_model(recipe.model, self.settings, paths=NAMES_ONLY.model_paths)
        gathered = gather(recipe, found, self.settings, trust=NAMES_ONLY)
        size = found.defaults.width, found.defaults.height
        with self.models.lease(gathered.found, self.settings, size) as bundle:
            yield Worked(LOADED)
            if choose(gathered.found.files, self.settings).backend == "openvino":
                try:
                    resolved = gathered.resolved(recipe, self.settings)
                    with closing(draw(resolved, gathered.over(resolved, bundle, self.settings))) as events:
                        for event in events:
                            if isinstance(event, StepDone | Picture):
                                yield Worked(90)
                except (RecipeError, PictureError):  # it draws from pictures only: compiled when there is one
                    pass
        self.seconds = time.monotonic() - began
        self.after = resident_memory()
