"""Several workers loaded side by side, of which one works at a time."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from sfumato.evaluation.speed.contestants import Contestant
from sfumato.evaluation.speed.turns import Job, Taken, Turn, Unavailable
from sfumato.evaluation.speed.workers import Worker

# Threads of a library go on looking for work for a while after a turn: they must not do so in the next one's.
SETTLE: Final = 0.05


class Crew:
    """The workers that are loaded, in the order of loading. They end with `stack`."""

    def __init__(self, stack: ExitStack, environ: Mapping[str, str]) -> None:
        self._stack = stack
        self._environ = environ
        self._workers: dict[Contestant, Worker] = {}
        self.load_seconds: dict[str, float] = {}
        self.notes: list[str] = []

    @property
    def members(self) -> tuple[Contestant, ...]:
        return tuple(self._workers)

    def add(self, contestant: Contestant, job: Job) -> bool:
        """Start a worker and load a contestant. One that cannot run here is noted, and False is returned.

        Raises SfumatoError when it fails.
        """
        worker = self._stack.enter_context(Worker(contestant.name, self._environ))
        try:
            self.load_seconds[contestant.name] = worker.load(job)
        except Unavailable as reason:
            worker.close()
            self.notes.append(f"{contestant.name} is left out: {reason}.")
            return False
        self._workers[contestant] = worker
        return True

    def worker(self, contestant: Contestant) -> Worker:
        """Return the worker of a member."""
        return self._workers[contestant]

    def take(self, contestant: Contestant, turn: Turn) -> Taken:
        """Let one member do a turn; all others rest meanwhile."""
        taken = self._workers[contestant].take(turn)
        time.sleep(SETTLE)
        return taken

    def dismiss(self, contestant: Contestant) -> None:
        """End the worker of a member."""
        self._workers.pop(contestant).close()


def rotated(members: Sequence[Contestant], number: int) -> tuple[Contestant, ...]:
    """Return the members in the order of round `number`: everybody begins in turn."""
    at = number % len(members)
    return (*members[at:], *members[:at])


def job_of(contestant: Contestant, folder: str, scratch: str, **drawing: str | int | float | bool) -> Job:
    """Return what the worker of a contestant loads; `drawing` are further fields of `Job`."""
    return Job(
        program=contestant.program,
        library=contestant.library,
        precision=contestant.precision,
        folder=folder,
        scratch=scratch,
        **{"whole": False, **drawing},  # pyright: ignore[reportArgumentType] - the fields' own types differ
    )
