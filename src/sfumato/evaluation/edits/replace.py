"""Inpainting: one object of two is replaced by another one."""

from collections.abc import Generator
from typing import Final

from sfumato.evaluation.edits.desk import Desk, Seen, given
from sfumato.evaluation.edits.scenes import replaced
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.recipe.parts import ImagePart, MaskPart, TextPart
from sfumato.scenes.scene import Scene, caption

AREA: Final = "0,0.28125,0.5,0.71875"  # of recipes/dog-to-cat.toml: where the left object of a pair stands
FIRST: Final = (
    Scene(("dog", "rabbit"), "beach", relation="left of"),
    Scene(("cat", "rabbit"), "beach", relation="left of"),
)

NEW: Final = "new"
NEW_ALONE: Final = "new, from the prompt alone"
OTHER: Final = "other"
OTHER_BEFORE: Final = "other, before"


def cases(desk: Desk, scenes: int) -> Generator[Case]:
    """Replace the left object of `scenes` pairs; the first is a dog beside a rabbit that becomes a cat."""
    for number in range(scenes):
        rng = desk.rng(TASK.name, number)
        scene, wanted = FIRST if number == 0 else replaced(rng)
        old = desk.rendered(scene, rng)
        image, seed = given(old, "before.png"), desk.seed_of(number)
        new = desk.draw(
            TextPart(prompt=caption(wanted)),
            ImagePart(source=image.source),
            MaskPart(area=AREA),
            seed=seed,
            given=(image,),
        )
        alone = desk.draw(TextPart(prompt=caption(Scene(wanted.objects[:1], wanted.background))), seed=seed)
        found = values(desk.look(old), desk.look(new), desk.look(alone), wanted)
        yield Case(caption(wanted), found, (Shown("before", old), Shown("after", new)))


def values(old: Seen, new: Seen, alone: Seen, wanted: Scene) -> dict[str, float]:
    """Return what is seen of `wanted`, whose first object is the new one, in the picture before and after,
    and of the new object in a picture of its own.
    """
    fresh, other = wanted.objects
    return {
        NEW: float(fresh in new.objects),
        NEW_ALONE: float(fresh == alone.objects[0]),
        OTHER: float(other in new.objects),
        OTHER_BEFORE: float(other in old.objects),
    }


TASK: Final = Task(
    name="replace",
    about="the left object of a pair replaced in a rectangle (recipes/dog-to-cat.toml)",
    scenes=50,
    rows=(
        Row("the new object is seen", NEW, beside=NEW_ALONE, beside_what="by itself", ratio=True),
        Row("the other object is seen", OTHER, beside=OTHER_BEFORE, beside_what="before", ratio=True),
    ),
    cases=cases,
)
