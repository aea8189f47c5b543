"""The first picture that somebody asks for is as quick as the others: what it needs is loaded before."""

from contextlib import closing, suppress
from threading import Event, Thread
from typing import Final

from sfumato.engine.gathering import NAMES_ONLY
from sfumato.engine.run import run
from sfumato.errors import SfumatoError
from sfumato.models.cache import ModelCache
from sfumato.models.folders import BUNDLED
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.settings import Settings

STEPS: Final = 2  # as few as have a preview


class Warmer:
    """Loads the bundled model into `models`, and draws with it what nobody sees, in a thread of its own."""

    def __init__(self, settings: Settings, models: ModelCache) -> None:
        self._settings, self._models = settings, models
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin; once is enough."""
        if self._thread is None:
            self._thread = Thread(target=self._warm_up, name="sfumato-warmer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, at the next step."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Wait until all is loaded."""
        if self._thread is not None:
            self._thread.join()

    def _warm_up(self) -> None:
        recipe = Recipe(model=BUNDLED, steps=STEPS, seed=0, parts=(TextPart(prompt="a"),))
        # Whoever draws is told what is wrong.
        drawing = run(recipe, self._settings, preview_every=1, cache=self._models, trust=NAMES_ONLY)
        with suppress(SfumatoError), closing(drawing) as events:
            for _ in events:
                if self._stopping.is_set():
                    return
