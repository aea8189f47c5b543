"""Follow an evaluation of edits and print what it found."""

from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from sfumato.cli.console import Bar, bar, result, result_json, table, talk, warn
from sfumato.cli.outputs import wanted_suffix
from sfumato.errors import InterruptedRun, OutputError, SfumatoError
from sfumato.evaluation.edits import (
    Edited,
    EditsReport,
    EditsStarted,
    Tally,
    about_lines,
    draw_edits,
    edits_rows,
    edits_to_data,
    evaluate_edits,
    settings_line,
)
from sfumato.evaluation.edits.table import chosen
from sfumato.imaging.io import check_output, save_picture
from sfumato.recipe.image import Recipe
from sfumato.recipe.numbers import optional_whole
from sfumato.settings import Settings

HEADER = ("TASK", "WHAT", "FIGURE", "95 % INTERVAL", "N", "BESIDE", "RATIO")


class _Progress:
    """What is known of an evaluation while it goes on."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self.finished = 0
        self.total = 0
        self.report: EditsReport | None = None

    def follow(
        self,
        recipe: Recipe,
        settings: Settings,
        progress: Bar,
        *,
        only: tuple[str, ...],
        scenes: int | None,
        judge: Path | None,
        font: Path | None,
    ) -> None:
        """Go through the events, moving the bar."""
        with closing(
            evaluate_edits(recipe, settings, only=only, scenes=scenes, judge=judge, font=font)
        ) as events:
            for event in events:
                match event:
                    case EditsStarted():
                        self.tally, self.total = Tally(event.setup, event.notes), event.total
                        for note in event.notes:
                            warn(note)
                    case Edited():
                        if self.tally is not None:
                            self.tally.add(event.task, event.case)
                        self.finished = event.finished
                        progress.label(event.task.name)
                        progress.update(event.finished, event.total)
                    case EditsReport():
                        self.report = event


def score_edits(
    recipe: Recipe,
    settings: Settings,
    *,
    only: str | None,
    scenes: str | None,
    judge: Path | None,
    font: Path | None,
    sheet: Path | None,
    format_: str | None,
    as_json: bool,
) -> None:
    """Evaluate the edits of the model of `recipe`, print the figures and save sheets into the folder `sheet`.

    `only` are names of tasks with commas between. Raises what `sfumato.evaluation.edits.evaluate_edits`
    raises, OutputError before anything is drawn, and InterruptedRun on Ctrl-C, after what was done until then
    was printed and saved.
    """
    number = optional_whole("scenes", scenes)
    names = () if only is None else tuple(name.strip() for name in only.split(",") if name.strip())
    suffix = wanted_suffix(format_, None, ".png")
    for task in chosen(names):
        if sheet is not None:
            check_output(_path(sheet, task.name, suffix))
    if sheet is None and format_ is not None:
        raise OutputError("there is no sheet", field="format", value=format_, hint="Add --sheet FOLDER.")
    known = _Progress()
    try:
        with bar("loading the model") as progress:
            known.follow(recipe, settings, progress, only=names, scenes=number, judge=judge, font=font)
    except KeyboardInterrupt:
        if known.tally is None or known.finished == 0:
            raise InterruptedRun("the evaluation was interrupted before the first edit") from None
        _tell(known.tally.report(complete=False), sheet, suffix, as_json=as_json)
        done = f"{known.finished} of {known.total} edits were done"
        raise InterruptedRun(
            f"the evaluation was interrupted; {done}, and the figures are of those"
        ) from None
    if known.report is None:
        raise SfumatoError("the evaluation ended without a report", field="model", value=recipe.model)
    _tell(known.report, sheet, suffix, as_json=as_json)


def _tell(report: EditsReport, sheet: Path | None, suffix: str, *, as_json: bool) -> None:
    """Print a report, and save its sheets."""
    saved: list[Path] = []
    if sheet is not None:
        for scored in report.tasks:
            path = _path(sheet, scored.task.name, suffix)
            save_picture(draw_edits(scored.cases), path)
            saved.append(path)
    if as_json:
        result_json({**edits_to_data(report), "sheets": [str(path) for path in saved]})
        return
    rows = [tuple(str(cell) for cell in astuple(row)) for row in edits_rows(report)]
    result(table(rows, HEADER))
    result(f"\n{settings_line(report.setup)}")
    for path in saved:
        result(f"pictures: {path}")
    for line in about_lines(report.tasks):
        talk(line)


def _path(folder: Path, name: str, suffix: str) -> Path:
    return folder / f"{name}{suffix}"
