"""How long each stage of a drawing takes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Clock:
    """Adds up the seconds of `stages`: `with clock("decode"): ...`. Raises KeyError for another stage."""

    def __init__(self, stages: Iterable[str]) -> None:
        self._spent = dict.fromkeys(stages, 0.0)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere."""
        self._spent[stage] += seconds

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.add(stage, time.perf_counter() - started)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage so far, and their sum as `total`."""
        return {**self._spent, "total": sum(self._spent.values())}
