"""Lessons that are taken up again: what the tab Learn showed a visitor last, kept beside its trace."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sfumato.engine.events import Events
from sfumato.errors import SfumatoError
from sfumato.imaging.io import open_picture
from sfumato.imaging.writing import write_file
from sfumato.recipe.codec import from_json, to_json
from sfumato.recipe.image import Recipe
from sfumato.serving.studio.learn_codec import drawn_of, told_of
from sfumato.serving.studio.learn_drawing import Bytes, Drawn, Lesson
from sfumato.serving.studio.traces import FINAL, MOST_PIXELS, Traces

VERSION: Final = 2
#: What reading a file that we did not write, or not to its end, may raise.
UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, SfumatoError)


@dataclass(frozen=True, eq=False)
class Shown:
    """What Show me drew, for the experiments: its `recipe`, with a seed, and its trace."""

    recipe: Recipe
    drawn: Drawn
    trace: Path


@dataclass(eq=False)
class KeptLesson(Lesson):
    """A lesson of one recipe, which `newest` finds again for its `owner`. Its trace is one of `traces`, from
    when its turn comes: many that wait take no room.
    """

    traces: Traces = field(kw_only=True)
    owner: str = ""

    @property
    def shown(self) -> Shown:
        """What it drew, when it is drawn."""
        (drawn,), (own,) = self.drawn, self.recipes
        assert self.trace is not None
        return Shown(own, drawn, self.trace)

    def draw(self, recipe: Recipe, preview_every: int) -> Events:
        self.trace = self.traces.new()
        yield from super().draw(recipe, preview_every)
        with suppress(SfumatoError):  # it is shown all the same, and only not found again
            keep(self.shown, self.owner)


def beside(trace: Path, owner: str, what: str = "") -> Path:
    """Return the file beside a trace in which `what` is kept for `owner`: the lesson itself, or what was
    tried out with it. Its name tells nobody who that is.
    """
    digest = hashlib.sha256(owner.encode()).hexdigest()[:16]
    return trace.with_name(f"{trace.name}.{digest}{f'.{what}' if what else ''}.json")


def keep(shown: Shown, owner: str) -> None:
    """Write down, beside the trace, what `newest` cannot read from it. Raises OutputError."""
    told = {
        "version": VERSION,
        "recipe": to_json(shown.recipe),
        "drawn": told_of(shown.drawn, ("channels",)),
    }
    write_file(beside(shown.trace, owner), json.dumps(told).encode())


def newest(folder: Path, owner: str) -> Shown | None:
    """Return the newest lesson of `owner` whose trace is in `folder`, or None where there is none that can
    be read.
    """
    found: list[tuple[float, Path]] = []
    for one in folder.glob(beside(folder / "*", owner).name):
        with suppress(FileNotFoundError):  # it made way for a newer one just now
            found.append((one.stat().st_mtime, one))
    for _, path in sorted(found, reverse=True):
        try:
            return _read(path)
        except UNREADABLE:
            continue  # cut short, of another version, or its trace made way for newer ones
    return None


def _read(path: Path) -> Shown:
    told: dict[str, Any] = json.loads(path.read_bytes())
    if told["version"] != VERSION:
        raise ValueError("is of another version")
    trace = path.with_name(path.name.split(".")[0])
    drawn = drawn_of(told["drawn"])
    frames = tuple(
        replace(
            one,
            # What goes into a step is what came out of the one before.
            noisy=_picture(trace / f"step-{one.row.step if number else 0:03d}-noisy.png"),
            clean=_picture(trace / f"step-{one.row.step + 1:03d}-x0.png"),
        )
        for number, one in enumerate(drawn.frames)
    )
    drawn = replace(drawn, pixels=_picture(trace / FINAL), frames=frames)
    return Shown(from_json(told["recipe"], Recipe), drawn, trace)


def _picture(path: Path) -> Bytes:
    return np.asarray(open_picture(path, MOST_PIXELS))
