"""The evaluation of edits as a generator: makes them through the engine, has them judged, and reports."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from sfumato.errors import RecipeError
from sfumato.evaluation.edits.desk import Desk
from sfumato.evaluation.edits.report import EditsReport, Tally
from sfumato.evaluation.edits.table import checked_scenes, chosen
from sfumato.evaluation.edits.task import Case, Task
from sfumato.evaluation.report import Setup
from sfumato.evaluation.run import DEFAULT_SEED, find_judge, setup_of
from sfumato.models.load import find_model, load
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.scenes.drawing import find_font
from sfumato.settings import Settings

NO_JUDGE: Final = ""  # the digest in a setup whose tasks ask no judge


@dataclass(frozen=True)
class EditsStarted:
    """The first event: `total` edits will be made, of `tasks`, as `setup` says."""

    setup: Setup
    tasks: tuple[Task, ...]
    total: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Edited:
    """An edit was made and judged: number `finished` of `total`."""

    task: Task
    case: Case
    finished: int
    total: int


EditsEvent: TypeAlias = EditsStarted | Edited | EditsReport


def evaluate_edits(
    recipe: Recipe,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    scenes: int | None = None,
    judge: Path | None = None,
    font: Path | None = None,
) -> Generator[EditsEvent, None, None]:
    """Score what a model makes of edits: the tasks `only` of `sfumato.evaluation.edits.table` (default: the
    usual ones), each of `scenes` scenes (default: the task's own number).

    `recipe` says which model, and how it draws; it has no parts and a count of one. Its seed, 1 when None,
    decides scenes and noise. `judge` is a judge's file (default: the bundled one), `font` the emoji font
    (default: the usual places); without the font there are no pictures to begin with.

    Yields EditsStarted, an Edited for every edit, and the EditsReport last. Equal arguments give equal
    reports. Raises, before the first event, RecipeError, ModelFileError, InputError and MissingExtraError;
    NumericalError while drawing.
    """
    if recipe.parts or recipe.count != 1:
        raise RecipeError(
            "an evaluation asks its own edits, one picture each", field="recipe", hint="Leave them out."
        )
    tasks, number = chosen(only), checked_scenes(scenes)
    found = find_model(recipe.model, settings)
    template = resolve(
        recipe.model_copy(update={"parts": (TextPart(prompt=""),)}),
        found.defaults,
        new_seed=lambda: DEFAULT_SEED,
        settings=settings,
    )
    drawn_with = find_font() if font is None else find_font(font)
    network, digest = None, NO_JUDGE
    if any(task.judged for task in tasks):
        network, _, digest = find_judge(judge)
    bundle = load(found, settings)
    desk = Desk(recipe, template.seed, settings, found.files, bundle, drawn_with, network)
    for task in tasks:
        if task.check is not None:
            task.check(desk)
    setup = setup_of(template, bundle, digest)
    counts = [task.scenes if number is None else number for task in tasks]
    total = sum(count * task.each for task, count in zip(tasks, counts, strict=True))
    yield EditsStarted(setup, tasks, total, bundle.notes)

    tally, finished = Tally(setup, bundle.notes), 0
    for task, count in zip(tasks, counts, strict=True):
        with closing(task.cases(desk, count)) as cases:
            for case in cases:
                tally.add(task, case)
                finished += 1
                yield Edited(task, case, finished, total)
    yield tally.report(complete=True)
