"""How long pictures took: with a clock that goes on by what happens."""

from typing import cast

import numpy as np

from sfumato.engine.events import Done, Picture, Started, StepDone, SteppedDown
from sfumato.engine.loop import Step
from sfumato.recipe.image import Resolved
from sfumato.serving.timing import Laps, Took

STARTED = Started(cast("Resolved", None), (0, 1, 2), 4, "b", ())
PICTURE = Picture(0, cast("Resolved", None), np.zeros((1, 1, 3), np.uint8))
ONE, TWO = (StepDone(cast("Step", None), indices, 1, 4, None) for indices in ((2,), (0, 1)))


class Clock:
    def __init__(self) -> None:
        self.time = 50.0

    def __call__(self) -> float:
        return self.time


def told(*events: tuple[float, object]) -> list[Took]:
    """Return what the pictures among `events` took, each of which comes so many seconds after the last."""
    clock = Clock()
    laps, found = Laps(clock), list[Took]()
    for apart, event in events:
        clock.time += apart
        took = laps.took(event)
        if isinstance(event, Picture):
            found.append(took)
    return found


def test_loading_the_model_is_not_drawing() -> None:
    assert told((9, STARTED), (2, ONE), (3, PICTURE)) == [Took(5)]


def test_pictures_of_a_batch_took_as_long_as_all_and_the_next_begins_when_it_is_done() -> None:
    batches = [(1, STARTED), (2, TWO), (2, TWO), (1, PICTURE), (0.5, PICTURE), (4, ONE), (1, PICTURE)]
    assert told(*batches, (1, Done({}))) == [Took(5, 2), Took(5, 2), Took(5, 1)]


def test_what_was_tried_in_vain_is_counted() -> None:
    again = SteppedDown((0, 1), ())
    assert told((1, STARTED), (6, TWO), (4, again), (1, ONE), (1, PICTURE)) == [Took(12)]


def test_a_way_of_drawing_that_does_not_say_when_it_began_is_measured_from_its_turn() -> None:
    assert told((3, ONE), (4, PICTURE)) == [Took(7)]
