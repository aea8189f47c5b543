"""The scored report of edits: frozen values, as JSON and as the rows of a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from sfumato.evaluation.edits.figures import Figure, figures_of
from sfumato.evaluation.edits.task import Case, Task
from sfumato.evaluation.metrics import Measure
from sfumato.evaluation.report import Setup

REPORT_VERSION: Final = 1
SAMPLES: Final = 24  # cases of a task whose pictures are kept, the first ones
_DIGITS: Final = 6  # after the point: what threads and libraries agree on


@dataclass(frozen=True, eq=False)
class Scored:
    """A task with its figures and its cases; only the first cases have their pictures still."""

    task: Task
    figures: tuple[Figure, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, eq=False)
class EditsReport:
    """What an evaluation of edits found. `complete` is False when it was stopped: the figures are those of
    the cases that were done.
    """

    setup: Setup
    tasks: tuple[Scored, ...]
    complete: bool
    notes: tuple[str, ...]


@dataclass(eq=False)
class Tally:
    """Collects cases as they are done, and makes the report of them at any time."""

    setup: Setup
    notes: tuple[str, ...] = ()
    _cases: dict[str, tuple[Task, list[Case]]] = field(default_factory=dict[str, tuple[Task, list[Case]]])

    def add(self, task: Task, case: Case) -> None:
        """Take a case; its pictures are kept when it is one of the first of its task."""
        _, cases = self._cases.setdefault(task.name, (task, []))
        cases.append(case if len(cases) < SAMPLES else replace(case, pictures=()))

    def report(self, *, complete: bool) -> EditsReport:
        """Return the report of all cases so far."""
        scored = tuple(
            Scored(task, figures_of(task.rows, cases), tuple(cases)) for task, cases in self._cases.values()
        )
        return EditsReport(self.setup, scored, complete, self.notes)


@dataclass(frozen=True)
class EditsRow:
    """One line of the table, as text; `interval` is the 95 % one, `beside` what the figure is read against,
    `ratio` how many times that it is.
    """

    task: str
    what: str
    value: str
    interval: str
    n: int
    beside: str
    ratio: str


def edits_rows(report: EditsReport) -> tuple[EditsRow, ...]:
    """Return the report as lines of text."""
    return tuple(
        EditsRow(
            scored.task.name,
            _what(figure),
            _value(figure.measure.value, figure.row.unit),
            _interval(figure.measure, figure.row.unit),
            figure.measure.n,
            "" if figure.beside is None else f"{_beside(figure)} {figure.row.beside_what}",
            "" if figure.ratio is None else _ratio(figure.ratio),
        )
        for scored in report.tasks
        for figure in scored.figures
    )


def edits_to_data(report: EditsReport) -> dict[str, object]:
    """Return the report as JSON data: every figure with `n` and interval, every case with its values. Equal
    for equal setups. Pixels are left out.
    """
    data = {
        "version": REPORT_VERSION,
        "complete": report.complete,
        "setup": asdict(report.setup),
        "notes": list(report.notes),
        "tasks": [
            {
                "name": scored.task.name,
                "about": scored.task.about,
                "figures": [_figure(figure) for figure in scored.figures],
                "cases": [
                    {"title": case.title, "group": case.group, "values": dict(case.values)}
                    for case in scored.cases
                ],
            }
            for scored in report.tasks
        ],
    }
    return json.loads(json.dumps(data), parse_float=lambda text: round(float(text), _DIGITS))


def _figure(figure: Figure) -> dict[str, object]:
    row = figure.row
    return {
        "what": row.what,
        "group": row.group,
        "unit": row.unit,
        "statistic": row.statistic,
        "measure": asdict(figure.measure),
        "beside": None
        if figure.beside is None
        else {"what": row.beside_what, "measure": asdict(figure.beside)},
        "ratio": None if figure.ratio is None else asdict(figure.ratio),
    }


def _what(figure: Figure) -> str:
    group = figure.row.group
    return figure.row.what if group is None else f"{group}: {figure.row.what}"


def _beside(figure: Figure) -> str:
    assert figure.beside is not None
    return _value(figure.beside.value, figure.row.unit)


def _value(value: float, unit: str) -> str:
    match unit:
        case "share":
            return f"{100 * value:.1f} %"
        case "points":
            return f"{value:.3f}"
        case "dB":
            return f"{value:.2f} dB"
        case "times":
            return f"{value:.2f} times"
        case "levels":
            return f"{value:+.2f} of 255"
        case _:
            return f"{value:g}"


def _interval(measure: Measure, unit: str) -> str:
    if measure.n == 1 and measure.low == measure.high:
        return ""  # nothing is known of how much one value varies
    if unit == "share":
        return f"{100 * measure.low:.1f} to {100 * measure.high:.1f} %"
    digits = 3 if unit == "points" else 2
    return f"{measure.low:.{digits}f} to {measure.high:.{digits}f}"


def _ratio(measure: Measure) -> str:
    ends = f" ({measure.low:.2f} to {measure.high:.2f})" if measure.n > 1 else ""
    return f"{measure.value:.2f}{ends}"


def settings_line(setup: Setup) -> str:
    """Return in one line how everything was drawn, but for what a task changes."""
    return (
        f"{setup.model}, {setup.backend}, {setup.width}x{setup.height}, {setup.steps} steps of "
        f"{setup.sampler} ({setup.spacing}), guidance {setup.guidance:g}, seed {setup.seed}"
    )


def about_lines(scored: Sequence[Scored]) -> tuple[str, ...]:
    """Return what each task asks, one line each."""
    return tuple(f"{one.task.name}: {one.task.about}" for one in scored)
