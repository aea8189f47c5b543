"""What the measuring process and its workers say to each other, and what a worker's player has to do.

Everything here crosses a pipe as one line of JSON.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sfumato.evaluation.speed.contestants import Program

Task = Callable[[], object]


@dataclass(frozen=True)
class Job:
    """What a worker loads: a contestant, and the model folder and settings it draws with.

    `whole` loads everything between prompt and picture, otherwise the networks alone. `scratch` is a folder
    for files that the player needs.
    """

    program: Program
    library: str
    precision: str
    folder: str
    scratch: str
    whole: bool
    prompt: str = ""
    steps: int = 1
    seed: int = 0
    width: int = 0
    height: int = 0
    guidance: float = 1.0
    guidance_rescale: float = 0.0


@dataclass(frozen=True)
class Turn:
    """One request: do `task` for `batch` pictures of `height` x `width` latents, at least once and until
    `seconds` have passed.
    """

    task: str
    batch: int = 1
    height: int = 0
    width: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Taken:
    """How often a task was done in a turn, and in how many seconds altogether."""

    times: int
    seconds: float

    @property
    def each(self) -> float:
        """Seconds for one."""
        return self.seconds / self.times


@dataclass(frozen=True)
class Memory:
    """The most that a worker held, in bytes: `peak` of everything resident, `anonymous` of what is no mapped
    file. None where the system does not tell.
    """

    peak: int | None
    anonymous: int | None


class Unavailable(Exception):
    """A contestant cannot run on this machine or draw this model; the text says why, as one clause."""


class Player(Protocol):
    """A loaded contestant."""

    def task(self, turn: Turn) -> Task:
        """Return what does the task of `turn` once, with its inputs made already.

        "encode" two texts, one guided "step" of 2 * batch rows, "decode" batch latents, or draw "pictures"
        from the prompt, "fast" with what --fast turns on. Raises ValueError for a task it does not have.
        """
        ...


def play(task: Task, seconds: float) -> Taken:
    """Do a task at least once and until `seconds` have passed."""
    started = time.perf_counter()
    times = 0
    while True:
        task()
        times += 1
        passed = time.perf_counter() - started
        if passed >= seconds:
            return Taken(times, passed)
