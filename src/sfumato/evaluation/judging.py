"""What the judge is asked about a picture, and whether it found what the prompt said."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene

if TYPE_CHECKING:  # the judge is a network: importing it imports torch
    from sfumato.models.judge import Verdict

OBJECT = "object"
BOTH = "both objects"
BACKGROUND = "background"
TIME = "time"
STYLE = "style"


@dataclass(frozen=True)
class Answer:
    """One question about one picture: what the prompt said and what the judge sees."""

    question: str
    expected: str
    seen: str

    @property
    def right(self) -> bool:
        return self.expected == self.seen


def answers(scene: Scene, verdict: "Verdict", row: int = 0) -> tuple[Answer, ...]:
    """Return the judge's answers on picture `row` of `verdict`, which should show `scene`.

    A pair: are its two objects the two likeliest? A single object: is it the likeliest, and are style,
    background and time right? Background and time are asked only in styles that have colour, the time only
    of places that have one.
    """
    if len(scene.objects) == 2:
        return (Answer(BOTH, _listed(scene.objects), _listed(_top(verdict.objects[row], 2))),)
    found = [Answer(OBJECT, scene.objects[0], _top(verdict.objects[row], 1)[0])]
    if scene.style not in words.COLOURLESS_STYLES:
        found.append(Answer(BACKGROUND, scene.background, _best(words.BACKGROUNDS, verdict.background[row])))
        if scene.background in words.TIMED_PLACES:
            found.append(Answer(TIME, scene.time, _best(tuple(words.TIMES), verdict.time[row])))
    found.append(Answer(STYLE, scene.style, _best(words.STYLE_NAMES, verdict.style[row])))
    return tuple(found)


def _top(logits: NDArray[np.float32], number: int) -> tuple[str, ...]:
    order = np.argsort(-logits, kind="stable")[:number]
    return tuple(words.OBJECT_NAMES[int(index)] for index in order)


def _listed(names: tuple[str, ...]) -> str:
    return " + ".join(sorted(names))


def _best(names: tuple[str, ...], logits: NDArray[np.float32]) -> str:
    return names[int(logits.argmax())]
