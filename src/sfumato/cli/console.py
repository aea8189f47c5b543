"""How commands talk: results on stdout, talk and progress bars on stderr, bars only on a terminal."""

import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from sfumato.errors import OutputError

if TYPE_CHECKING:  # rich takes as long to import as a picture takes to decode
    from rich.progress import Progress, ProgressColumn, TaskID


def result(text: str) -> None:
    """Print a result (a path, a table) on stdout."""
    _print(text)


def result_json(data: object) -> None:
    """Print data on stdout as JSON in ASCII, which no locale and no terminal can misread."""
    _print(json.dumps(data, indent=2, allow_nan=False))


def talk(text: str) -> None:
    """Say something on stderr, for people; to nobody where stderr is closed."""
    if (stderr := _stream(sys.stderr)) is not None:
        # Whether or not somebody listens, the work goes on.
        with suppress(OSError):
            print(text, file=stderr)


def warn(text: str) -> None:
    """Say on stderr what will not be as asked."""
    talk(f"warning: {text}")


def on_terminal() -> bool:
    """Whether somebody watches stderr on a terminal that can redraw a line."""
    stderr = _stream(sys.stderr)
    return stderr is not None and stderr.isatty() and os.environ.get("TERM") != "dumb"


def silence_stdout() -> None:
    """Send the rest of stdout nowhere: Python would complain again when it flushes at exit."""
    with open(os.devnull, "w") as nowhere, suppress(OSError):  # also raised for a stream without a file
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence_stdout()  # whoever read our output has enough; what is being drawn is still wanted
    except OSError as error:
        silence_stdout()
        reason = error.strerror or "unknown reason"
        raise OutputError(
            f"cannot be written: {reason}", field="stdout", hint="Send the output somewhere else."
        ) from error


def _stream(stream: TextIO | None) -> TextIO | None:
    return stream  # Python's own type says that a standard stream is never closed


def printable(text: str) -> str:
    """Return `text` with line breaks kept and every other control character escaped: a picture's metadata
    must not steer the terminal.
    """
    return "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Return rows as aligned columns, two spaces apart, without trailing spaces."""
    lines = [header, *rows] if header else list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def pairs(items: Mapping[str, str]) -> str:
    """Return names and values as two columns; further lines of a value are indented below its first."""
    width = max(len(name) for name in items)
    gap = "\n" + " " * (width + 2)
    return "\n".join(
        f"{name.ljust(width)}  {gap.join(value.split(chr(10)))}".rstrip() for name, value in items.items()
    )


def examples(*commands: str) -> str:
    """Return the examples at the end of a command's help."""
    lines = (f"$ {line}".replace("[", r"\[") for line in commands)  # typer shows them as rich's markup
    return "[bold]Examples[/bold]\n" + "\n".join(lines)


@dataclass(frozen=True)
class Bar:
    """A progress bar on stderr; None where there is no terminal to show it on."""

    progress: "Progress | None" = None
    task: "TaskID | None" = None

    def label(self, text: str) -> None:
        """Say what is going on now."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, description=text)

    def update(self, done: float, total: float, note: str = "") -> None:
        """Move the bar to `done` of `total`; `note` stands at its end."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, total=total, note=note)

    @contextmanager
    def aside(self) -> Generator[None]:
        """Take the bar off the screen while something is printed on stdout."""
        if self.progress is not None:
            self.progress.stop()
        yield
        if self.progress is not None:
            self.progress.start()


@contextmanager
def bar(label: str, *, clock: bool = True) -> Generator[Bar]:
    """Show a progress bar while the block runs. `clock`: estimate the time left from the progress so far."""
    if not on_terminal():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:.0f}/{task.total:.0f}" if clock else "{task.percentage:3.1f} %"),
    ]
    if clock:
        columns.append(TimeRemainingColumn(compact=True))
    columns.append(TextColumn("{task.fields[note]}", markup=False))
    # stdout stays untouched: rich would send what is printed there to stderr.
    progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    with progress:
        yield Bar(progress, progress.add_task(label, total=1, note=""))
