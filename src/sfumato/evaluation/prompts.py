"""Which scenes a model is asked for: seeded, in sections, each with the plainest caption of its scene.

Sections marked held out hold only combinations that training never saw (`scenes.scene.held_out`); all
others hold none of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, cycle, islice
from typing import Final

import numpy as np
from numpy.random import Generator

from sfumato.errors import InputError
from sfumato.recipe.values import MAX_SEED
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption, held_out, one_of

DEFAULT_SCENES: Final = 2 * len(words.OBJECTS)  # every object twice
QUICK_SCENES: Final = 32
MAX_SCENES: Final = 10_000
PLACE_SHARE: Final = 0.6  # places rather than plain colours: the time of day is asked of places only


@dataclass(frozen=True)
class Budget:
    """How many pictures each section draws. `diversity_prompts` of the plain prompts are drawn with
    `diversity_seeds` seeds. Raises ValueError when there are too few of either.
    """

    plain: int = len(words.OBJECTS)
    styled: int = len(words.OBJECTS)
    pairs: int = 100
    held_out_backgrounds: int = 75
    held_out_styles: int = 75
    held_out_pairs: int = 50
    diversity_prompts: int = 16
    diversity_seeds: int = 4

    def __post_init__(self) -> None:
        if self.diversity_prompts > self.plain or self.diversity_seeds < 2:
            raise ValueError("diversity needs plain prompts to repeat, with two seeds or more")

    @classmethod
    def of(cls, scenes: int) -> "Budget":
        """Return the budget with `scenes` single objects and the other sections in proportion.

        312 scenes are the default budget, every object twice. Raises InputError below 4 and above 10 000.
        """
        if not 4 <= scenes <= MAX_SCENES:
            raise InputError(f"must be between 4 and {MAX_SCENES}", field="scenes", value=scenes)

        def part(of_default: int) -> int:
            return max(2, round(of_default * scenes / DEFAULT_SCENES))

        return cls(
            plain=scenes - scenes // 2,
            styled=scenes // 2,
            pairs=part(100),
            held_out_backgrounds=part(75),
            held_out_styles=part(75),
            held_out_pairs=part(50),
            diversity_prompts=part(16),
        )

    @property
    def pictures(self) -> int:
        """How many pictures are drawn in all. Each diversity prompt is one of the plain ones, drawn again."""
        judged = self.plain + self.styled + self.pairs + self.held_out_pairs
        held_out_singles = self.held_out_backgrounds + self.held_out_styles
        return judged + held_out_singles + self.diversity_prompts * (self.diversity_seeds - 1)


FULL: Final = Budget()
QUICK: Final = Budget.of(QUICK_SCENES)


@dataclass(frozen=True)
class Section:
    """A group of prompts of one kind; `title` heads it on sheets, `asks` says exactly what is in it."""

    name: str
    title: str
    asks: str


SECTIONS: Final[tuple[Section, ...]] = (
    Section("plain", "Single objects", "one object, no style, on a random place (60 %) or colour"),
    Section("styled", "Single objects in a style", "one object in a random style, same backgrounds"),
    Section("pairs", "Pairs", "two objects in each of the relations, no style, by day"),
    Section(
        "held_out_backgrounds", "Held out: object with background", "as plain, but never trained together"
    ),
    Section(
        "held_out_styles", "Held out: object with style", "as styled, but object and style never together"
    ),
    Section("held_out_pairs", "Held out: pairs", "as pairs, but the two objects never trained together"),
    Section("diversity", "Other seeds", "plain prompts again, with other seeds; not scored"),
)


@dataclass(frozen=True)
class Asked:
    """One picture to draw: `prompt` says `scene`; `seed` is the picture's own.

    `number` counts through the whole evaluation. `repeats` is the number of the plain picture whose prompt
    this is again (diversity only).
    """

    number: int
    section: str
    scene: Scene
    prompt: str
    seed: int
    repeats: int | None = None


def ask(seed: int, budget: Budget) -> tuple[Asked, ...]:
    """Return every picture of an evaluation, in order: a pure function of `seed` and `budget`.

    Picture `k` is drawn with the seed `seed + k`, so no two share their noise.
    """
    numbers = count()
    asked: list[Asked] = []

    def add(section: str, scene: Scene, repeats: int | None = None) -> None:
        number = next(numbers)
        own = (seed + number) % (MAX_SEED + 1)
        asked.append(Asked(number, section, scene, caption(scene), own, repeats))

    sections: dict[str, tuple[int, Callable[[Generator], Iterator[Scene]]]] = {
        "plain": (budget.plain, partial(_singles, styled=False)),
        "styled": (budget.styled, partial(_singles, styled=True)),
        "pairs": (budget.pairs, partial(_pairs, unseen=False)),
        "held_out_backgrounds": (budget.held_out_backgrounds, _held_out_backgrounds),
        "held_out_styles": (budget.held_out_styles, _held_out_styles),
        "held_out_pairs": (budget.held_out_pairs, partial(_pairs, unseen=True)),
    }
    for place, (section, (number, scenes)) in enumerate(sections.items()):
        for scene in islice(scenes(np.random.default_rng([seed, place, 201])), number):
            add(section, scene)
    for first in [one for one in asked if one.section == "plain"][: budget.diversity_prompts]:
        for _ in range(budget.diversity_seeds - 1):
            add("diversity", first.scene, first.number)
    return tuple(asked)


def _singles(rng: Generator, *, styled: bool) -> Iterator[Scene]:
    """Every object in random order, over and over; only combinations seen in training."""
    while True:
        for name in rng.permutation(words.OBJECT_NAMES):
            yield next(
                scene for scene in _random_singles(rng, str(name), styled=styled) if not held_out(scene)
            )


def _held_out_backgrounds(rng: Generator) -> Iterator[Scene]:
    while True:
        scene = next(_random_singles(rng, _random_name(rng), styled=False))
        if held_out(scene):
            yield scene


def _held_out_styles(rng: Generator) -> Iterator[Scene]:
    while True:
        scene = next(_random_singles(rng, _random_name(rng), styled=True))
        # Only the style may be new, so that the section measures one thing.
        if held_out(scene) and not held_out(replace(scene, style="plain")):
            yield scene


def _pairs(rng: Generator, *, unseen: bool) -> Iterator[Scene]:
    for relation in cycle(words.RELATIONS):
        while True:
            first = _random_name(rng)
            second = one_of(words.MOUNTS, rng) if relation == "riding" else _random_name(rng)
            background, _ = _random_ground(rng)
            scene = Scene((first, second), background, relation=relation)
            new_ground = any(held_out(Scene((name,), background)) for name in scene.objects)
            if first == second or new_ground:
                continue
            if held_out(replace(scene, background="white")) == unseen:
                yield scene
                break


def _random_singles(rng: Generator, name: str, *, styled: bool) -> Iterator[Scene]:
    while True:
        background, time = _random_ground(rng)
        style = one_of(words.STYLE_NAMES[1:], rng) if styled else "plain"
        yield Scene((name,), background, time, style)


def _random_ground(rng: Generator) -> tuple[str, str]:
    """Return a background and a time of day; times are equally likely where there are any."""
    options = tuple(words.PLACES) if rng.random() < PLACE_SHARE else tuple(words.COLOURS)
    background = one_of(options, rng)
    time = one_of(tuple(words.TIMES), rng) if background in words.TIMED_PLACES else "day"
    return background, time


def _random_name(rng: Generator) -> str:
    return one_of(words.OBJECT_NAMES, rng)
