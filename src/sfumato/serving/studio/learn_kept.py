"""Lessons that are taken up again: what the tab Learn showed a visitor last, kept beside its trace."""

import base64
import hashlib
import io
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from sfumato.engine.compass import Bearing
from sfumato.engine.events import Events
from sfumato.engine.trace import TraceRow
from sfumato.errors import SfumatoError
from sfumato.imaging.io import encode_picture, open_picture
from sfumato.imaging.writing import write_file
from sfumato.recipe.codec import from_json, to_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.studio.learn_drawing import Bytes, Drawn, Frame, Lesson, Spoken, Token
from sfumato.serving.studio.traces import FINAL, MOST_PIXELS

VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Shown:
    """What Show me drew, for the experiments: its `recipe`, with a seed, and its trace."""

    recipe: Recipe
    drawn: Drawn
    trace: Path


@dataclass(eq=False)
class KeptLesson(Lesson):
    """A lesson of one recipe with a trace, which `newest` finds again for its `owner`."""

    owner: str = ""

    def draw(self, recipe: Recipe, preview_every: int) -> Events:
        yield from super().draw(recipe, preview_every)
        (drawn,), (own,) = self.drawn, self.recipes
        assert self.trace is not None
        with suppress(SfumatoError):  # it is shown all the same, and only not found again
            keep(Shown(own, drawn, self.trace), self.owner)


def keep(shown: Shown, owner: str) -> None:
    """Write down, beside the trace, what `newest` cannot read from it. Raises OutputError."""
    drawn = shown.drawn
    told = {
        "version": VERSION,
        "recipe": to_json(shown.recipe),
        "resolved": to_json(drawn.resolved),
        "backend": drawn.backend,
        "spoken": None if drawn.spoken is None else asdict(drawn.spoken),
        "frames": [
            {
                "row": asdict(one.row),
                "bearing": None if one.bearing is None else asdict(one.bearing),
                "channels": base64.b64encode(encode_picture(one.channels, ".png")).decode("ascii"),
            }
            for one in drawn.frames
        ],
    }
    path = shown.trace.with_name(f"{shown.trace.name}.{_digest(owner)}.json")
    write_file(path, json.dumps(told).encode())


def newest(folder: Path, owner: str) -> Shown | None:
    """Return the newest lesson of `owner` whose trace is in `folder`, or None where there is none that can
    be read.
    """
    found = [(one.stat().st_mtime, one) for one in folder.glob(f"*.{_digest(owner)}.json")]
    for _, path in sorted(found, reverse=True):
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, TypeError, SfumatoError):
            continue  # cut short, of another version, or its trace made way for newer ones
    return None


def _read(path: Path) -> Shown:
    told: dict[str, Any] = json.loads(path.read_bytes())
    if told["version"] != VERSION:
        raise ValueError("is of another version")
    trace = path.with_name(path.name.split(".")[0])
    frames = []
    for number, one in enumerate(told["frames"]):
        bearing = None if one["bearing"] is None else Bearing(**one["bearing"])
        row = TraceRow(**{name: _tuple(value) for name, value in one["row"].items()})
        # What goes into a step is what came out of the one before.
        noisy = _picture(trace / f"step-{row.step if number else 0:03d}-noisy.png")
        clean = _picture(trace / f"step-{row.step + 1:03d}-x0.png")
        with Image.open(io.BytesIO(base64.b64decode(one["channels"]))) as image:
            channels = np.asarray(image.convert("RGB"))
        frames.append(Frame(noisy, channels, clean, row, bearing))
    spoken = None
    if told["spoken"] is not None:
        tokens = tuple(Token(**one) for one in told["spoken"].pop("tokens"))
        spoken = Spoken(tokens, **told["spoken"])
    resolved = from_json(told["resolved"], Resolved)
    drawn = Drawn(resolved, str(told["backend"]), _picture(trace / FINAL), tuple(frames), spoken)
    return Shown(from_json(told["recipe"], Recipe), drawn, trace)


def _picture(path: Path) -> Bytes:
    return np.asarray(open_picture(path, MOST_PIXELS))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _digest(owner: str) -> str:
    """Return a name for files of `owner` that tells nobody who that is."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]
