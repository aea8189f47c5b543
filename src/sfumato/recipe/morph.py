"""A morph: pictures that lead from one prompt to the next, or from one seed to the next.

Every frame is a recipe of its own, made of parts that recipes have anyway: a mix of two prompts whose ratio
goes from one to the other, and a variation, which turns the noise of one seed towards that of the next
(Shoemake 1985: on the arc between them).
"""

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, Strict, model_validator

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.numbers import whole
from sfumato.recipe.parts import MixPart, MixPrompt, Part, TextPart, VariationPart
from sfumato.recipe.values import FROZEN, PromptText, Seed

MAX_FRAMES: Final = 10_000
SHORTEST: Final = 20  # milliseconds of a frame; what is shorter, browsers show for 100
TICK: Final = 10
EACH: Final = 12  # frames from one stop to the next, where nobody says how many
FPS: Final = 12.0
HOLD: Final = 0.5  # seconds
MOST_FPS: Final = 50.0
LONGEST: Final = 60.0  # seconds that a stop may be held
MORPH_VERSION: Final = 1
_RANGE: Final = re.compile(r"\s*(\d{1,12})\.\.(\d{1,12})\s*")
MorphMode = Literal["branches", "embeddings"]  # in bands, the shares of frames would be places
MODE: Final = "branches"  # the smoother one; see docs/how-to/see-it-happen.md


class Morph(BaseModel):
    """What a morph goes through: `prompts` and `seeds`, each one or one for every stop (none of the prompts:
    those of the recipe), in `frames` pictures. With `loop` it returns to the first stop. `mode` is how two
    prompts are mixed, as in `MixPart`.
    """

    model_config = FROZEN

    version: Annotated[int, Strict(), Field(ge=1, le=MORPH_VERSION)] = MORPH_VERSION
    prompts: tuple[PromptText, ...] = ()
    seeds: tuple[Seed, ...] = ()
    frames: Annotated[int, Strict(), Field(ge=2, le=MAX_FRAMES)] = 24
    loop: Annotated[bool, Strict()] = False
    mode: MorphMode = MODE

    @model_validator(mode="after")
    def _stops_agree(self) -> "Morph":
        several = [len(one) for one in (self.prompts, self.seeds) if len(one) > 1]
        if not several:
            raise ValueError("a morph needs two prompts or two seeds at least")
        if len({*several}) > 1:
            raise ValueError(f"{several[0]} prompts and {several[1]} seeds: give one, or one for each stop")
        if self.frames < several[0]:
            raise ValueError(f"{self.frames} frames are fewer than the {several[0]} stops")
        return self

    @property
    def num_stops(self) -> int:
        """The number of prompts or seeds that the morph goes through."""
        return max(len(self.prompts), len(self.seeds))

    @property
    def places(self) -> tuple[float, ...]:
        """Where each frame lies: whole numbers are stops, 1.25 a quarter of the way from stop 1 to 2.

        The frames of each way are spread evenly; ways that cannot have equally many come first with more.
        """
        ways = self.num_stops if self.loop else self.num_stops - 1
        steps = self.frames if self.loop else self.frames - 1
        places: list[float] = []
        for way in range(ways):
            count = steps // ways + (way < steps % ways)
            places += [way + number / count for number in range(count)]
        return tuple(places if self.loop else [*places, float(ways)])


def usual_frames(num_stops: int, *, loop: bool) -> int:
    """Return how many frames a morph through so many prompts or seeds has where nobody says."""
    return EACH * (num_stops if loop else num_stops - 1) + (not loop)


def seeds_of(text: str) -> tuple[int, ...]:
    """Return the seeds that are written with commas, and as ranges: 1,2,3 or 1..3. Raises RecipeError."""
    seeds: list[int] = []
    for entry in text.split(","):
        if len(seeds) > MAX_FRAMES:  # before thousands are counted
            hint = f"A film has {MAX_FRAMES} frames at most."
            raise RecipeError("are more than a film has frames", field="seeds", hint=hint)
        counted = _RANGE.fullmatch(entry)
        if counted is None:
            seeds.append(whole("seeds", entry))
            continue
        first, last = int(counted[1]), int(counted[2])
        if not first < last < first + 1000:
            raise RecipeError("is no range of seeds", field="seeds", value=entry, hint="Write it as 1..4.")
        seeds += range(first, last + 1)
    return tuple(seeds)


def check_pace(fps: float, hold: float) -> None:
    """Raise RecipeError for frames a second, or seconds that a stop is held, that cannot be shown."""
    if not 0.1 <= fps <= MOST_FPS:
        hint = f"Give 0.1 to {MOST_FPS:g}."
        raise RecipeError("cannot be shown", field="fps", value=f"{fps:g}", hint=hint)
    if not 0 <= hold <= LONGEST:
        hint = f"Give 0 to {LONGEST:g} seconds."
        raise RecipeError("cannot be held so long", field="hold", value=f"{hold:g}", hint=hint)


def durations_of(morph: Morph, *, fps: float = FPS, hold: float = HOLD) -> tuple[int, ...]:
    """Return how many milliseconds each frame is shown: `fps` frames a second, and those that lie at a stop
    for `hold` seconds more. All are multiples of 10, as a GIF counts, and at least 20; the sum stays right.
    """
    durations: list[int] = []
    owed = 0.0
    for place in morph.places:
        exact = 1000 / fps + (1000 * hold if place == int(place) else 0) + owed
        durations.append(max(SHORTEST, TICK * round(exact / TICK)))
        owed = exact - durations[-1]
    return tuple(durations)


def eased(share: float) -> float:
    """Return how far a frame is when so much of its time is gone: `3 p^2 - 2 p^3`, slow at both ends."""
    return share * share * (3 - 2 * share)


def frames_of(morph: Morph, base: Recipe) -> tuple[Recipe, ...]:
    """Return the recipe of every frame: `base` with its prompt and its seed, or what lies between two.

    Raises RecipeError where `base` has parts that the morph itself needs, and for one without a seed where
    only the prompt changes: the frames would have nothing in common.
    """
    _check(morph, base)
    return tuple(_frame(morph, base, place) for place in morph.places)


def _check(morph: Morph, base: Recipe) -> None:
    if base.count != 1:
        raise RecipeError(
            "a morph has one picture a frame", field="count", value=base.count, hint="Leave it out."
        )
    if base.mix is not None:
        hint = "Leave it out; the prompts of a morph are its mix."
        raise RecipeError("is what a morph is made of", field="mix", hint=hint)
    if len(morph.seeds) > 1 and base.variation is not None:
        hint = "Leave it out, or give one seed."
        raise RecipeError("is what a morph between seeds is made of", field="variation", hint=hint)
    if not morph.seeds and base.seed is None:
        raise RecipeError("is missing", field="seed", hint="All frames begin with the noise of one seed.")


def _frame(morph: Morph, base: Recipe, place: float) -> Recipe:
    stop, share = int(place), eased(place - int(place))
    after = (stop + 1) % morph.num_stops
    seeds, prompts = morph.seeds, morph.prompts
    changes: dict[str, object] = {}
    parts: list[Part] = [part for part in base.parts if part.kind != "text"]
    text = base.text
    if prompts:
        first, last = prompts[stop % len(prompts)], prompts[after % len(prompts)]
        text = TextPart(prompt=first) if text is None else text.model_copy(update={"prompt": first})
        if share > 0 and first != last:
            mixed = (MixPrompt(prompt=last, ratio=share),)
            parts.append(MixPart(prompts=mixed, ratio=1 - share, mode=morph.mode))
    if seeds:
        first_seed, last_seed = seeds[stop % len(seeds)], seeds[after % len(seeds)]
        changes["seed"] = first_seed
        if share > 0 and first_seed != last_seed:
            parts.append(VariationPart(strength=share, seed=last_seed))
    changes["parts"] = tuple(parts) if text is None else (text, *parts)
    return Recipe.model_validate({**base.model_dump(exclude={"parts", "seed"}), "seed": base.seed, **changes})
