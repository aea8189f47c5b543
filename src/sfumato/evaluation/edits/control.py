"""The ControlNet `edges`: how well outlines are followed, and what it costs.

The outlines are those of fresh scenes moved by up to an eighth of a side, and prompts do not say how large
things are: where and how large can be known from the outlines alone.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.controls import find_controls
from sfumato.engine.steering import Controls
from sfumato.evaluation.edits.desk import Desk, Seen, given
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.evaluation.outlines import overlap
from sfumato.imaging.annotators import canny, edges
from sfumato.recipe.parts import Control, ControlPart, TextPart
from sfumato.scenes.drawing import FURTHEST, moved
from sfumato.scenes.scene import Scene, SceneMix, caption, sample

NETWORK: Final = "edges"
MIX: Final = SceneMix(pairs=0, counts=0, sizes=0.6, unsaid_background=0, styled=0.2, mixes=0)

Pixels = NDArray[np.uint8]

F1: Final = "f1"
F1_FREE: Final = "f1 without"
SEEN: Final = "object"
SEEN_FREE: Final = "object without"
SEEN_REAL: Final = "object in the scene"


def cases(desk: Desk, scenes: int) -> Generator[Case]:
    """Draw `scenes` single objects with and without the outlines of a scene, from the same noise."""
    controls = found_controls(desk)
    for number in range(scenes):
        rng = desk.rng(TASK.name, number)
        scene = sample(rng, MIX)
        real = desk.rendered(scene, rng)
        furthest = round(desk.side * FURTHEST)
        real = moved(real, *(int(one) for one in rng.integers(-furthest, furthest + 1, 2)))
        hint = given(real, "outlines.png")
        prompt, seed = caption(replace(scene, size="normal")), desk.seed_of(number)
        text = TextPart(prompt=prompt)
        part = part_of(hint.source)
        steered = desk.draw(text, part, seed=seed, given=(hint,), controls=controls)
        free = desk.draw(text, seed=seed)
        found = values(real, steered, free, [desk.look(one) for one in (real, steered, free)], scene)
        yield Case(
            prompt,
            found,
            (
                Shown("scene", real),
                Shown("outlines", canny(real)),
                Shown("with", steered),
                Shown("without", free),
            ),
        )


def part_of(source: str) -> ControlPart:
    """Return what has a drawing follow the outlines of the picture `source`."""
    return ControlPart(controls=(Control(model=NETWORK, source=source, annotator="canny"),))


def found_controls(desk: Desk) -> Controls:
    """Find the ControlNet. Raises RecipeError and ModelFileError where it is missing or does not fit."""
    recipe = desk.recipe((part_of("outlines.png"),), desk.seed)
    return find_controls(recipe, desk.files, desk.settings)


def check(desk: Desk) -> None:
    """Raise what `found_controls` raises."""
    found_controls(desk)


def values(real: Pixels, steered: Pixels, free: Pixels, seen: list[Seen], scene: Scene) -> dict[str, float]:
    """Return how both pictures follow the outlines of `real`, and whether the object is seen in the three
    pictures, `seen` in that order.
    """
    hint = edges(real)
    right = [float(one.objects[0] == scene.objects[0]) for one in seen]
    return {
        F1: overlap(steered, hint).f1,
        F1_FREE: overlap(free, hint).f1,
        SEEN_REAL: right[0],
        SEEN: right[1],
        SEEN_FREE: right[2],
    }


TASK: Final = Task(
    name="control",
    about="single objects that follow the outlines of moved scenes, with the ControlNet edges",
    scenes=100,
    rows=(
        Row("outlines followed (F1)", F1, "points", None, F1_FREE, "without it", ratio=True),
        Row("the object is seen", SEEN, beside=SEEN_FREE, beside_what="without it", ratio=True),
        Row("the object is seen in the scenes themselves", SEEN_REAL),
    ),
    cases=cases,
    check=check,
)
