"""What is to be measured, and with how much effort."""

from dataclasses import dataclass, replace
from typing import Final

from sfumato.errors import InputError, closest
from sfumato.evaluation.speed.sd15 import SD15, Architecture

SECTIONS: Final = ("cold", "warm", "large")
ALL: Final = "all"

PROMPT: Final = "a frog on a beach"
SEED: Final = 7


@dataclass(frozen=True)
class Effort:
    """Rounds of each section, and what a round holds.

    A turn of small work lasts `turn_seconds` at least. `contestants` bounds how many of Sfumato's backends
    and precisions are measured, warm and large; None: all. `whole_pictures`: at the large size, draw whole
    pictures too, and do everything once at full size before it counts; otherwise the price of a picture is
    put together from its parts. `matrix` and `grid` are the sides of the peak's matrices and convolution.
    """

    cold: int
    warm: int
    large: int
    peak: int
    turn_seconds: float
    batches: tuple[int, ...]
    contestants: tuple[int, int] | None
    whole_pictures: bool
    matrix: int = 4096
    grid: int = 64

    def with_rounds(self, rounds: int) -> "Effort":
        """Return this effort with as many rounds of everything, but for the peak."""
        return replace(self, cold=rounds, warm=rounds, large=rounds)


FULL: Final = Effort(7, 7, 3, 5, 0.5, (1, 4, 8), None, True)
QUICK: Final = Effort(1, 1, 1, 1, 0.25, (1,), (2, 1), False)


@dataclass(frozen=True)
class Plan:
    """The `sections` to measure with the model called `model`, pictures of `steps` steps; `architecture` is
    the large one.
    """

    sections: tuple[str, ...] = SECTIONS
    model: str = "bundled"
    steps: int = 20
    effort: Effort = FULL
    architecture: Architecture = SD15


def sections_of(name: str) -> tuple[str, ...]:
    """Return the sections that a name of one, or "all", stands for. Raises InputError."""
    if name == ALL:
        return SECTIONS
    if name in SECTIONS:
        return (name,)
    known = (*SECTIONS, ALL)
    near = closest(name, known)
    guess = f"Did you mean {near}? " if near is not None else ""
    raise InputError(
        "unknown name", field="section", value=name, hint=f"{guess}Choose one of {', '.join(known)}."
    )
