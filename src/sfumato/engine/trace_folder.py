"""A trace on disk: two pictures of every step, the numbers as JSON and CSV, and a page that shows it all."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.events import Picture, Started
from sfumato.engine.own_folder import OwnFolder
from sfumato.engine.preview import to_uint8
from sfumato.engine.seeing import Look, Pixels
from sfumato.engine.trace import Gauge, TraceRow, measure, to_csv, to_json
from sfumato.engine.trace_page import Pictured, trace_page
from sfumato.imaging.io import encode_picture
from sfumato.imaging.pages import picture_source
from sfumato.imaging.writing import make_folder, write_file

PAGE: Final = "index.html"
MOST_ON_PAGE: Final = 100  # steps whose pictures stand in the page; the folder has all of them
_NAMES: Final = re.compile(r"step-.*-(?:noisy|x0)\.png|trace\.(?:json|csv)|final\.png|index\.html")
LONGEST_ON_PAGE: Final = 384  # pixels of a picture's longer side there


def own_trace_folder(folder: Path) -> OwnFolder:
    """Return `folder` as one of traces; its `check` is to be asked before the work of drawing."""
    return OwnFolder(folder, "trace", _NAMES)


@dataclass(eq=False)
class TraceFolder:
    """A watcher that writes the trace of every picture: into `folder`, or, when there are several, into a
    folder in it for each, named after its seed. `gauge`, where there is one, is in the plan that is drawn.

    Pictures of steps are written as they come. `finish` writes the rest; without it the folder is left as
    it was found, or empty.
    """

    folder: Path
    gauge: Gauge | None = None
    _rows: dict[int, list[TraceRow]] = field(default_factory=dict[int, list[TraceRow]])
    _pictured: dict[int, list[tuple[int, str, str]]] = field(
        default_factory=dict[int, list[tuple[int, str, str]]]
    )
    _started: Started | None = None
    _complete: bool = False

    def start(self, started: Started) -> None:
        own_trace_folder(self.folder).empty()
        self._started = started
        for index in started.indices:
            make_folder(self._home(index))

    def look(self, look: Look) -> None:
        assert self._started is not None  # the engine's first event
        ratios = None if self.gauge is None else self.gauge.take(look.step.sigma)
        # At guidance zero a plan leaves out the branch that guidance one would need.
        inflation = None if self._started.resolved.guidance == 0 else ratios
        every = -(-look.step.num_steps // MOST_ON_PAGE)
        for place, row in enumerate(measure(look, inflation)):
            rows = self._rows.setdefault(row.index, [])
            if not rows and look.before is not None:
                self._save(look.before[place], row.index, "step-000-noisy.png")
            noisy, clean = _bytes(look.noisy[place]), _bytes(look.clean[place])
            self._save(look.noisy[place], row.index, f"step-{row.step + 1:03d}-noisy.png")
            self._save(look.clean[place], row.index, f"step-{row.step + 1:03d}-x0.png")
            if len(rows) % every == 0 or row.step == row.num_steps - 1:
                sources = [picture_source(one, LONGEST_ON_PAGE) for one in (noisy, clean)]
                self._pictured.setdefault(row.index, []).append((len(rows), sources[0], sources[1]))
            rows.append(row)

    def picture(self, picture: Picture) -> None:
        started = self._started
        assert started is not None
        rows = self._rows.pop(picture.index, [])
        home = self._home(picture.index)
        write_file(home / "trace.json", to_json(rows, picture.resolved, started.backend).encode())
        write_file(home / "trace.csv", to_csv(rows).encode())
        write_file(home / "final.png", encode_picture(picture.pixels, ".png"))
        if rows:  # a picture that is kept as it is takes no steps
            places, noisy, clean = zip(*self._pictured.pop(picture.index), strict=True)
            pictured = Pictured(tuple(places), tuple(noisy), tuple(clean))
            write_file(home / PAGE, trace_page(rows, picture.resolved, started.backend, pictured).encode())

    def again(self, indices: tuple[int, ...]) -> None:
        for index in indices:
            self._rows.pop(index, None)
            self._pictured.pop(index, None)

    def finish(self) -> tuple[Path, ...]:
        self._complete = True
        assert self._started is not None
        pages = (self._home(index) / PAGE for index in self._started.indices)
        return tuple(page for page in pages if page.exists())

    def close(self) -> None:
        if self._started is not None and not self._complete:
            own_trace_folder(self.folder).clear()

    def _home(self, index: int) -> Path:
        assert self._started is not None
        count = len(self._started.indices)
        return own_trace_folder(self.folder).home(self._started.resolved, index, count)

    def _save(self, pixels: Pixels, index: int, name: str) -> None:
        write_file(self._home(index) / name, encode_picture(_bytes(pixels), ".png"))


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    return to_uint8(np.nan_to_num(pixels))
