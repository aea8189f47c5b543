"""Two prompts in equal parts: is the picture a bit of both?

The judge's two likeliest objects should be the two. Half of the pairs are ones that training showed together,
half are ones that it never did.
"""

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import Final

from sfumato.evaluation.edits.desk import Desk, Seen
from sfumato.evaluation.edits.scenes import known_pair
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.recipe.parts import MixPart, MixPrompt, Part, TextPart
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption

FIRST: Final = Scene(("frog", "rabbit"), "white", relation=words.MIXED)

KNOWN: Final = "pairs as in training"
NEVER: Final = "pairs never trained on"

BOTH: Final = "both"
ONE: Final = "one of them"
SINGLE: Final = "single objects"
REAL: Final = "both, in a drawn hybrid"


def cases(desk: Desk, scenes: int, *, mode: str) -> Generator[Case]:
    """Mix `scenes` pairs that training showed and as many that it did not; the first is frog and rabbit.

    `mode` is a mix's, "branches", "bands" or "embeddings"; or "best", what the model says of itself; or
    "words", one prompt that says it: "a frog mixed with a rabbit".
    """
    for number in range(scenes):
        for offset, never in enumerate((False, True)):
            # The same pairs in every mode.
            rng = desk.rng("mix", 2 * number + offset)
            scene = replace(known_pair(rng, never_trained=never), relation=words.MIXED)
            scene = FIRST if (number, never) == (0, False) else scene
            seed = desk.seed_of(2 * number + offset)
            texts = [TextPart(prompt=caption(Scene((name,), scene.background))) for name in scene.objects]
            mixed = desk.draw(*parts_of(scene, texts, mode), seed=seed)
            alone = [desk.draw(text, seed=seed) for text in texts]
            real = desk.rendered(scene, rng)
            found = values(desk.look(mixed), desk.look(real), [desk.look(one) for one in alone], scene)
            shown = (
                Shown(scene.objects[0], alone[0]),
                Shown("mixed", mixed),
                Shown(scene.objects[1], alone[1]),
            )
            yield Case(" + ".join(scene.objects), found, shown, NEVER if never else KNOWN)


def parts_of(scene: Scene, texts: list[TextPart], mode: str) -> tuple[Part, ...]:
    """Return the parts of a recipe that mixes the two objects of `scene` in equal parts."""
    if mode == "words":
        return (TextPart(prompt=caption(scene)),)
    other = MixPrompt(prompt=texts[1].prompt, ratio=0.5)
    chosen = None if mode == "best" else mode
    return texts[0], MixPart.model_validate({"prompts": (other,), "mode": chosen})


def values(mixed: Seen, real: Seen, alone: list[Seen], scene: Scene) -> dict[str, float]:
    """Return which of the two objects are seen in the mix, in a hybrid that the world draws, and each in the
    picture of its own prompt, in the order of `alone`.
    """
    wanted = set(scene.objects)
    right = [one.objects[0] == name for one, name in zip(alone, scene.objects, strict=True)]
    return {
        BOTH: float(set(mixed.objects) == wanted),
        ONE: float(bool(set(mixed.objects) & wanted)),
        SINGLE: sum(right) / len(right),
        REAL: float(set(real.objects) == wanted),
    }


def _rows() -> tuple[Row, ...]:
    rows: list[Row] = []
    for group in (KNOWN, NEVER):
        rows += [
            Row("the two likeliest are the two", BOTH, "share", group, SINGLE, "single objects", ratio=True),
            Row("one of them is among the two likeliest", ONE, "share", group),
            Row("both, where the world draws the hybrid", REAL, "share", group),
        ]
    return tuple(rows)


def _task(name: str, mode: str, about: str, *, usual: bool) -> Task:
    return Task(name, about, 30, _rows(), partial(cases, mode=mode), each=2, usual=usual)


TASKS: Final = (
    _task("mix", "best", "two prompts in equal parts, as the model mixes when nothing is said", usual=True),
    _task("mix-bands", "bands", "two prompts in equal parts, one above and one below", usual=False),
    _task("mix-branches", "branches", "two prompts in equal parts, predictions averaged", usual=False),
    _task("mix-embeddings", "embeddings", "two prompts in equal parts, encoded texts averaged", usual=False),
    _task("mix-words", "words", 'one prompt: "a frog mixed with a rabbit"', usual=False),
)
