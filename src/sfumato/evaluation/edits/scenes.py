"""The scenes that edits begin with: seeded, and none of them held out of training unless asked for."""

from dataclasses import dataclass, replace
from typing import Final

from numpy.random import Generator

from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, held_out, one_of

PAIR_BACKGROUNDS: Final = ("beach", "meadow", "white", "blue")


@dataclass(frozen=True)
class Look:
    """What a scene's edit changes: the time of day and the style."""

    time: str = "day"
    style: str = "plain"


PLAIN: Final = Look()


def single(rng: Generator) -> Scene:
    """Return one object by day in a place that has times of day, without a style."""
    return Scene((one_of(words.OBJECT_NAMES, rng),), one_of(words.TIMED_PLACES, rng))


def pair(rng: Generator, background: str | None = None) -> Scene:
    """Return two objects, the first left of the second, on a background of its own or on `background`."""
    first, second = _two(rng)
    place = one_of(PAIR_BACKGROUNDS, rng) if background is None else background
    return Scene((first, second), place, relation="left of")


def known_pair(rng: Generator, *, never_trained: bool, background: str = "white") -> Scene:
    """Return a pair of objects that training did show together, or one that it never did."""
    while True:
        found = pair(rng, background)
        if held_out(found) == never_trained:
            return found


def changed(rng: Generator, before: Look, after: Look) -> tuple[Scene, Scene]:
    """Return a single object's scene as it looks before and after, neither held out."""
    while True:
        scene = single(rng)
        first, second = (replace(scene, time=look.time, style=look.style) for look in (before, after))
        if not (held_out(first) or held_out(second)):
            return first, second


def replaced(rng: Generator) -> tuple[Scene, Scene]:
    """Return a pair's scene and the same one with another first object, neither held out."""
    while True:
        scene = pair(rng)
        others = [name for name in words.OBJECT_NAMES if name not in scene.objects]
        after = replace(scene, objects=(one_of(others, rng), scene.objects[1]))
        if not (held_out(scene) or held_out(after)):
            return scene, after


def _two(rng: Generator) -> tuple[str, str]:
    while True:
        first, second = one_of(words.OBJECT_NAMES, rng), one_of(words.OBJECT_NAMES, rng)
        if first != second:
            return first, second
