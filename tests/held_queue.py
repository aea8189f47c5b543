"""A queue that is kept from drawing, for as long as a test looks at what waits."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sfumato.engine.events import Event
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from tiny_studio import followed

WAIT: Final = 240.0  # seconds: a loaded machine takes long to ask for hundreds


@contextmanager
def held(desk: Desk) -> Generator[threading.Event]:
    """Keep the queue from drawing until the event that is given is set, or the block ends."""
    gate = threading.Event()

    def wait(recipe: Recipe, preview_every: int) -> Generator[Event, None, None]:
        assert gate.wait(WAIT)
        yield from ()

    job = desk.queue.submit(Recipe(), "somebody else", wait)
    try:
        yield gate
    finally:
        gate.set()
        followed(desk, job)
