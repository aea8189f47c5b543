"""Image to image: a picture gets colours, another time of day or another style, and its object stays.

What is reached is read against pictures of the same prompts and seeds that begin with noise alone.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Final

from sfumato.evaluation.edits.desk import Desk, Seen, given
from sfumato.evaluation.edits.scenes import PLAIN, Look, changed
from sfumato.evaluation.edits.task import ALONE, Case, Row, Shown, Task
from sfumato.imaging.annotators import grey
from sfumato.recipe.parts import ImagePart, TextPart
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption

OBJECT: Final = "object"
LOOK: Final = "look"
SUFFIX: Final = ", alone"  # the same in the picture that begins with noise alone


@dataclass(frozen=True)
class Change:
    """A picture that looks like `before` is to look like one of `after`, drawn with `strength`. `greyed`: its
    colours are taken away first. `asks` is what of the new look is asked: "time" or "style".
    """

    name: str
    about: str
    strength: float
    asks: str
    look: str
    before: Look = PLAIN
    after: tuple[Look, ...] = (PLAIN,)
    greyed: bool = False

    def shows(self, seen: Seen, scene: Scene) -> bool:
        """Tell whether what is seen looks as `scene` should."""
        return seen.time == scene.time if self.asks == "time" else seen.style == scene.style


CHANGES: Final = (
    Change(
        "colour",
        "black and white to colour, strength 0.6 (recipes/black-and-white-to-colour.toml)",
        0.6,
        "style",
        "no style is seen, so it has colours",
        greyed=True,
    ),
    Change(
        "sketch",
        "pencil sketch to picture, strength 0.75 (recipes/sketch-to-picture.toml)",
        0.75,
        "style",
        "no style is seen, so it is a picture",
        before=Look(style="pencil sketch"),
    ),
    Change(
        "night",
        "day to night, strength 0.75 (recipes/day-to-night.toml)",
        0.75,
        "time",
        "night is seen",
        after=(Look(time="night"),),
    ),
    Change(
        "day",
        "night to day, strength 0.75 (recipes/night-to-day.toml)",
        0.75,
        "time",
        "day is seen",
        before=Look(time="night"),
    ),
    Change(
        "restyle",
        "to each style, strength 0.75 (recipes/restyle.toml)",
        0.75,
        "style",
        "the style is seen",
        after=tuple(Look(style=style) for style in words.STYLE_NAMES if style != "plain"),
    ),
)


def cases(desk: Desk, scenes: int, *, change: Change) -> Generator[Case]:
    """Make `change` to `scenes` pictures, for each of its looks, and draw the same from noise alone."""
    for number in range(scenes):
        for place, after in enumerate(change.after):
            index = number * len(change.after) + place
            rng = desk.rng(change.name, index)
            scene, wanted = changed(rng, change.before, after)
            old = desk.rendered(scene, rng)
            old = grey(old) if change.greyed else old
            image, seed = given(old, "before.png"), desk.seed_of(index)
            text = TextPart(prompt=caption(wanted))
            begun = ImagePart(source=image.source, strength=change.strength)
            new = desk.draw(text, begun, seed=seed, given=(image,))
            alone = desk.draw(text, seed=seed)
            found = values(change, desk.look(new), desk.look(alone), wanted)
            shown = Shown("before", old), Shown("after", new)
            yield Case(text.prompt, found, shown, after.style if len(change.after) > 1 else "")


def values(change: Change, new: Seen, alone: Seen, wanted: Scene) -> dict[str, float]:
    """Return whether object and look of `wanted` are seen in the new picture and in that from noise alone."""
    return {
        OBJECT: float(new.objects[0] == wanted.objects[0]),
        OBJECT + SUFFIX: float(alone.objects[0] == wanted.objects[0]),
        LOOK: float(change.shows(new, wanted)),
        LOOK + SUFFIX: float(change.shows(alone, wanted)),
    }


def _rows(change: Change) -> tuple[Row, ...]:
    groups = [None] if len(change.after) == 1 else [None, *(look.style for look in change.after)]
    asked = (("the object is seen", OBJECT), (change.look, LOOK))
    return tuple(
        Row(what, value, "share", group, value + SUFFIX, ALONE, ratio=True)
        for group in groups
        for what, value in asked
    )


TASKS: Final = tuple(
    Task(
        one.name,
        one.about,
        50,
        _rows(one),
        partial(cases, change=one),
        each=len(one.after),
    )
    for one in CHANGES
)
