"""Drawing that waits before every step, for tests of what draws."""

import threading
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from sfumato.engine.events import Event, Events, StepDone
from sfumato.engine.run import draw
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

WAIT: Final = 20.0  # seconds


def frog(**fields: Any) -> Recipe:
    return Recipe(parts=(TextPart(prompt="a frog"),), **{"seed": 7, "steps": 2, **fields})


@dataclass
class Drawing:
    """Draws with the tiny model, and waits before every step while `gate` is closed."""

    gate: threading.Event = field(default_factory=threading.Event)
    begun: list[int] = field(default_factory=list[int])
    stepping: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, recipe: Recipe, preview_every: int) -> Events:
        self.begun.append(recipe.seed or 0)
        if recipe.seed == 13:
            raise RecipeError("is unlucky", field="seed", value=13)
        if recipe.seed == 14:
            raise ZeroDivisionError
        bundle = tiny_bundle()
        return self._gated(draw(resolve(recipe, bundle.defaults), bundle, preview_every=preview_every))

    def _gated(self, events: Events) -> Generator[Event, None, None]:
        with closing(events):
            for event in events:
                if isinstance(event, StepDone):
                    self.stepping.release()
                    assert self.gate.wait(WAIT)
                yield event
