"""Follow an evaluation and print what it found."""

import json
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from sfumato.cli.console import bar, result, result_json, table, talk, warn
from sfumato.engine.keeping import free_path
from sfumato.errors import InterruptedRun, SfumatoError
from sfumato.evaluation import Budget, EvaluationStarted, Judged, Report, draw_grid, table_rows, to_json
from sfumato.evaluation import evaluate as evaluation_of
from sfumato.imaging.io import check_output, save_picture
from sfumato.recipe.image import Recipe
from sfumato.recipe.numbers import whole
from sfumato.settings import Settings

HEADER = ("WHAT", "ASKED", "SCORE", "95 % INTERVAL", "N", "REAL PICTURES", "AUTOENCODED")


def score(
    recipe: Recipe,
    settings: Settings,
    *,
    scenes: str,
    judge: Path | None,
    font: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Evaluate the model of `recipe`, save the sheet of pictures and print the scores.

    Raises what `sfumato.evaluation.evaluate` raises, OutputError before anything is drawn, and InterruptedRun
    on Ctrl-C; then nothing is written.
    """
    budget = Budget.of(whole("scenes", scenes))
    sheet = free_path(Path(f"evaluation-{Path(recipe.model).name}.png")) if output is None else output
    check_output(sheet)
    report = None
    try:
        with (
            bar("loading the model") as progress,
            closing(evaluation_of(recipe, settings, budget=budget, judge=judge, font=font)) as events,
        ):
            for event in events:
                match event:
                    case EvaluationStarted():
                        progress.label("drawing and judging")
                        for note in event.notes:
                            warn(note)
                    case Judged():
                        progress.update(event.finished, event.total)
                    case Report():
                        report = event
    except KeyboardInterrupt:
        raise InterruptedRun("the evaluation was interrupted; nothing was written") from None
    if report is None:
        raise SfumatoError("the evaluation ended without a report", field="model", value=recipe.model)
    save_picture(draw_grid(report.samples), sheet)
    if as_json:
        result_json({**json.loads(to_json(report)), "sheet": str(sheet)})
        return
    rows = [tuple(str(cell) for cell in astuple(row)) for row in table_rows(report)]
    result(table(rows, HEADER))
    result(f"\npictures: {sheet}")
    for note in report.notes:
        talk(note)
