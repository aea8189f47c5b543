"""A trace on disk: two pictures of every step, the numbers as JSON and CSV, and a page that shows it all."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.events import Picture, Started
from sfumato.engine.preview import to_uint8
from sfumato.engine.seeing import Look, Pixels
from sfumato.engine.trace import Gauge, TraceRow, measure, to_csv, to_json
from sfumato.engine.trace_page import Pictured, trace_page
from sfumato.errors import OutputError
from sfumato.imaging.io import encode_picture
from sfumato.imaging.pages import picture_source
from sfumato.imaging.writing import make_folder, write_file

PAGE: Final = "index.html"
MOST_ON_PAGE: Final = 100  # steps whose pictures stand in the page; the folder has all of them
LONGEST_ON_PAGE: Final = 384  # pixels of a picture's longer side there


def check_trace_folder(folder: Path) -> None:
    """Raise OutputError unless a trace can be written to `folder`: ask before the work of drawing it.

    The folder must be missing (then it is made, with those above it), empty, or hold an earlier trace and
    nothing else, which is replaced.
    """
    value, hint = str(folder), "Name a new folder, or an empty one."
    try:
        others = [path.name for path in folder.iterdir() if not _is_trace(path)]
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise OutputError("this is no folder", field="trace", value=value, hint=hint) from error
    except OSError as error:  # a folder that may not be looked into, a name longer than the system takes
        reason = error.strerror or "unknown reason"
        raise OutputError(f"cannot be used: {reason}", field="trace", value=value, hint=hint) from error
    if others:
        raise OutputError(
            f"this folder holds other things ({min(others)})", field="trace", value=value, hint=hint
        )


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
        check_trace_folder(self.folder)
        make_folder(self.folder)
        _clear(self.folder)
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

    def finish(self) -> tuple[Path, ...]:
        self._complete = True
        assert self._started is not None
        pages = (self._home(index) / PAGE for index in self._started.indices)
        return tuple(page for page in pages if page.exists())

    def close(self) -> None:
        if self._started is not None and not self._complete:
            _clear(self.folder)

    def _home(self, index: int) -> Path:
        assert self._started is not None
        if len(self._started.indices) == 1:
            return self.folder
        return self.folder / f"seed-{self._started.resolved.seed + index}"

    def _save(self, pixels: Pixels, index: int, name: str) -> None:
        write_file(self._home(index) / name, encode_picture(_bytes(pixels), ".png"))


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    return to_uint8(np.nan_to_num(pixels))


def _is_trace(path: Path) -> bool:
    """Whether a file or folder in the folder of a trace has a name that a trace gives."""
    name = path.name
    if path.is_dir():
        known = name.startswith("seed-") and name[5:].isdecimal()
        return known and not path.is_symlink() and all(_is_trace_file(one) for one in path.iterdir())
    return _is_trace_file(path)


def _is_trace_file(path: Path) -> bool:
    name = path.name
    if not path.is_file():
        return False
    step = name.startswith("step-") and name.endswith(("-noisy.png", "-x0.png"))
    return step or name in ("trace.json", "trace.csv", "final.png", PAGE)


def _clear(folder: Path) -> None:
    """Remove an earlier trace from `folder`; what has another name stays."""
    for path in folder.iterdir():
        if not _is_trace(path):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
