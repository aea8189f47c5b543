"""What is tried out with the picture of Show me: what was asked, the work that it takes, and what is shown.

What came of each is kept beside the trace of the picture, the newest of its kind, and goes with it.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from sfumato.engine.events import Events
from sfumato.errors import SfumatoError
from sfumato.imaging.writing import write_file
from sfumato.models.cache import ModelCache
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.labels import SAMPLER_LABELS
from sfumato.serving.studio.learn_codec import Picture, drawn_of, told_of
from sfumato.serving.studio.learn_drawing import Drawn, Lesson, Mixing
from sfumato.serving.studio.learn_forms import COMPARED, SHARES, Compared, begun_at, compared, mixed
from sfumato.serving.studio.learn_kept import UNREADABLE, VERSION, Shown, beside
from sfumato.serving.studio.learn_page import begun_of, compared_of, heat_of, mixed_of
from sfumato.serving.studio.traces import FINAL
from sfumato.serving.studio.words import Words
from sfumato.settings import Settings

Work: TypeAlias = Lesson | Mixing
Kind = Literal["heat", "compare", "begin", "mix"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: The fields of each, by their names on the tab.
FIELDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "heat": (),
    "compare": ("what", "other", "other_sampler"),
    "begin": ("begin_step", "begin_prompt"),
    "mix": ("mix_other",),
}
_STEP: Final = "begin_step"  # the one field that holds a number
_PICTURES: Final[Mapping[Kind, tuple[Picture, ...]]] = {
    "heat": ("pixels",),
    "compare": ("pixels", "clean"),
    "begin": ("pixels", "noisy", "clean"),
    "mix": ("pixels",),
}


@dataclass(frozen=True)
class Asked:
    """An experiment, and what stood in its `fields`: texts, and a number in `begin_step`."""

    kind: Kind
    fields: Mapping[str, str | int]

    @classmethod
    def of(cls, kind: Kind, values: Sequence[Any]) -> "Asked":
        """Return what the values of the fields of `kind`, in their order, ask for. Raises ValueError for
        what those fields cannot hold.
        """
        named = zip(FIELDS[kind], values, strict=True)
        fields = {one: int(value or 0) if one == _STEP else str(value or "") for one, value in named}
        if fields.get("what", COMPARED[0]) not in COMPARED:
            raise ValueError("is nothing to compare")
        return cls(kind, fields)

    def text(self, name: str) -> str:
        """Return what stood in a field for text."""
        return str(self.fields[name])


@dataclass(frozen=True, eq=False)
class Tried:
    """An experiment that is over: what was `asked`, and what was `drawn`."""

    asked: Asked
    drawn: tuple[Drawn, ...]


@dataclass(eq=False)
class Trial:
    """Work for the queue that tries something out with `shown`, and keeps what came of it for `owner`."""

    asked: Asked
    shown: Shown
    work: Work
    owner: str

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        return self.work.recipes

    @property
    def tried(self) -> Tried:
        """What came of it, when it is drawn."""
        return Tried(self.asked, tuple(self.work.drawn))

    def draw(self, recipe: Recipe, preview_every: int) -> Events:
        yield from self.work.draw(recipe, preview_every)
        with suppress(SfumatoError):  # it is shown all the same, and only not found again
            keep(self.shown.trace, self.tried, self.owner)


def trial_of(asked: Asked, shown: Shown, settings: Settings, models: ModelCache, owner: str) -> Trial:
    """Return the work that `asked` takes. Raises RecipeError for what cannot be done."""
    recipe = shown.recipe
    match asked.kind:
        case "heat":
            work: Work = Lesson(settings, models, (recipe,), attending=True)
        case "compare":
            what = asked.text("what")
            given = asked.text("other_sampler" if what == "sampler" else "other")
            work = Lesson(settings, models, (recipe, compared(recipe, cast("Compared", what), given)))
        case "begin":
            step = min(int(asked.fields[_STEP]), shown.drawn.resolved.steps)
            work = Lesson(
                settings, models, (begun_at(recipe, shown.trace / FINAL, step, asked.text("begin_prompt")),)
            )
        case "mix":
            work = Mixing(settings, models, mixed(recipe, asked.text("mix_other")))
    return Trial(asked, shown, work, owner)


def page_of(tried: Tried, shown: Shown, words: Words) -> str:
    """Return what is to be seen of an experiment with `shown`. Raises ValueError for one that has not drawn
    as many pictures as its kind does.
    """
    drawn = tried.drawn
    match tried.asked.kind:
        case "heat":
            (only,) = drawn
            return heat_of(only, words)
        case "compare":
            first, second = drawn
            what = tried.asked.text("what")
            return compared_of((first, second), (_label(first, what), _label(second, what)), words)
        case "begin":
            (only,) = drawn
            return begun_of(shown.drawn.pixels, only, words)
        case "mix":
            pictures = [one.pixels for one, _ in zip(drawn, SHARES, strict=True)]
            ends = _prompt(drawn[0].resolved), _prompt(drawn[-1].resolved)
            return mixed_of(pictures, SHARES, ends, words)


def keep(trace: Path, tried: Tried, owner: str) -> None:
    """Write down, beside the trace, what `tried_with` finds again. Raises OutputError."""
    asked = tried.asked
    told = {
        "version": VERSION,
        "fields": dict(asked.fields),
        "drawn": [told_of(one, _PICTURES[asked.kind]) for one in tried.drawn],
    }
    if (trace / FINAL).is_file():  # it may have made way for newer ones meanwhile
        write_file(beside(trace, owner, asked.kind), json.dumps(told).encode())


def tried_with(trace: Path, owner: str) -> tuple[Tried, ...]:
    """Return what `owner` tried out with the picture of a trace; what cannot be read is left out."""
    found: list[Tried] = []
    for kind in KINDS:
        with suppress(*UNREADABLE):
            told: dict[str, Any] = json.loads(beside(trace, owner, kind).read_bytes())
            if told["version"] == VERSION:
                asked = Asked.of(kind, [told["fields"][name] for name in FIELDS[kind]])
                found.append(Tried(asked, tuple(drawn_of(one) for one in told["drawn"])))
    return tuple(found)


def _label(drawn: Drawn, what: str) -> str:
    """Return what tells one of two drawings from the other."""
    resolved = drawn.resolved
    if what == "sampler":
        return SAMPLER_LABELS.get(resolved.sampler, resolved.sampler)
    if what == "steps":
        return str(resolved.steps)
    return _prompt(resolved)


def _prompt(resolved: Resolved) -> str:
    return "" if resolved.text is None else resolved.text.prompt
