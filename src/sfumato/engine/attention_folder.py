"""Attention maps on disk: an overlay for every word, all of them on one grid, and their numbers as JSON."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sfumato.engine.attention import AttentionRecorder, Map, WordMap
from sfumato.engine.events import Picture, Started
from sfumato.engine.own_folder import OwnFolder
from sfumato.engine.seeing import Look
from sfumato.imaging.heat import labelled_grid, overlay
from sfumato.imaging.io import encode_picture
from sfumato.imaging.writing import make_folder, write_file

GRID: Final = "attention.png"
NUMBERS: Final = "attention.json"
ATTENTION_VERSION: Final = 1
_NAMES: Final = re.compile(r"word-\d{2,}-[a-z0-9-]+\.png|attention\.(?:png|json)")
_LONGEST_SLUG: Final = 40


def attention_folder(folder: Path) -> OwnFolder:
    """Return `folder` as one of maps; its `check` is to be asked before the work of drawing."""
    return OwnFolder(folder, "attention", _NAMES)


@dataclass(eq=False)
class AttentionFolder:
    """A watcher that writes where the words of every picture acted, as `recorder`, which `draw` was handed,
    has seen it: into `folder`, or, when there are several pictures, into a folder in it for each, named after
    its seed.

    A run that does not come to its end leaves nothing.
    """

    folder: Path
    recorder: AttentionRecorder
    _started: Started | None = None
    _complete: bool = False

    def start(self, started: Started) -> None:
        attention_folder(self.folder).empty()
        self._started = started

    def look(self, look: Look) -> None:
        """Steps are the recorder's business."""

    def picture(self, picture: Picture) -> None:
        assert self._started is not None  # the engine's first event
        maps = self.recorder.word_maps(picture.index)
        if not maps:  # a picture that is kept as it is takes no steps
            return
        home = self._home(picture.index)
        make_folder(home)
        overlays = [overlay(picture.pixels, one.heat) for one in maps]
        names = [f"word-{number:02d}-{slug(one.word)}.png" for number, one in enumerate(maps, start=1)]
        for name, pixels in zip(names, overlays, strict=True):
            write_file(home / name, encode_picture(pixels, ".png"))
        cells = [("the picture", picture.pixels)]
        cells += [(one.word, pixels) for one, pixels in zip(maps, overlays, strict=True)]
        write_file(home / GRID, encode_picture(labelled_grid(cells), ".png"))
        document = {
            "version": ATTENTION_VERSION,
            "recipe": picture.resolved.model_dump(mode="json"),
            "backend": self._started.backend,
            "words": [{"file": name, **facts(one)} for name, one in zip(names, maps, strict=True)],
        }
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        write_file(home / NUMBERS, text.encode("utf-8", "backslashreplace"))

    def again(self, indices: tuple[int, ...]) -> None:
        """The recorder forgets by itself."""

    def finish(self) -> tuple[Path, ...]:
        self._complete = True
        assert self._started is not None
        grids = (self._home(index) / GRID for index in self._started.indices)
        return tuple(grid for grid in grids if grid.exists())

    def close(self) -> None:
        if self._started is not None and not self._complete:
            attention_folder(self.folder).clear()

    def _home(self, index: int) -> Path:
        assert self._started is not None
        count = len(self._started.indices)
        return attention_folder(self.folder).home(self._started.resolved, index, count)


def facts(one: WordMap) -> dict[str, object]:
    """Return a word's map in numbers.

    `share` of the attention of all words; `peak`, the place of most attention, as (x, y) from the left and
    the top, in parts of the picture; `half_area`, the least share of the picture's area that holds half of
    the word's attention: 0.5 where it is everywhere the same.
    """
    height, width = one.heat.shape
    row, column = divmod(int(one.heat.argmax()), width)
    return {
        "word": one.word,
        "share": round(float(one.heat.sum()), 6),
        "peak": [round((column + 0.5) / width, 4), round((row + 0.5) / height, 4)],
        "half_area": round(_half_area(one.heat), 4),
    }


def slug(word: str) -> str:
    """Return `word` as part of a file name: a to z, 0 to 9 and dashes, never empty."""
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:_LONGEST_SLUG] or "word"


def _half_area(heat: Map) -> float:
    """Return the share of places, the greatest first and the last one in part, that hold half of `heat`."""
    falling = np.cumsum(np.sort(heat.ravel().astype(np.float64))[::-1])
    return float(np.interp(falling[-1] / 2, [0.0, *falling], np.arange(heat.size + 1))) / heat.size
