"""How long pictures took to draw, told from the events of a run as they come."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sfumato.engine.events import Picture, Started, StepDone


@dataclass(frozen=True)
class Took:
    """The `seconds` in which a batch of so many `pictures` was drawn: from when the model was there, or the
    batch before it done, to its first picture. They are drawn together, so that each took as long as all.
    """

    seconds: float
    pictures: int = 1


class Laps:
    """Measures one run. `now` tells the time in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = self._last = now()
        self._done: float | None = None  # when the first picture of the batch was there
        self._pictures = 1

    def took(self, event: object) -> Took:
        """Return what the batch took until now, as `event` of the run comes. Call it with each."""
        now = self._now()
        if isinstance(event, Picture):
            # Keeping the first of a batch takes time, which is none of the second's drawing.
            self._done, self._last = now if self._done is None else self._done, now
            return Took(self._done - self._begun, self._pictures)
        if isinstance(event, Started):
            self._begun = now
        elif self._done is not None:
            self._begun, self._done = self._last, None
        if isinstance(event, StepDone):
            self._pictures = len(event.indices)
        return Took(now - self._begun, self._pictures)
