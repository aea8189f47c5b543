"""The tasks by name, in the order in which they run."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sfumato.errors import InputError, closest
from sfumato.evaluation.edits import attention, changes, control, mix, outside, replace, upscale
from sfumato.evaluation.edits.task import Task

MAX_SCENES: Final = 10_000

TASKS: Final[Mapping[str, Task]] = MappingProxyType(
    {
        task.name: task
        for task in (
            outside.TASK,
            replace.TASK,
            *changes.TASKS,
            control.TASK,
            *mix.TASKS,
            attention.TASK,
            upscale.TASK,
        )
    }
)


def chosen(names: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks called `names` in the table's order; for no names, the usual ones. Raises InputError
    for a name that is not known.
    """
    for name in names:
        if name not in TASKS:
            near = closest(name, TASKS)
            guess = "" if near is None else f"Did you mean {near}? "
            raise InputError(
                "unknown task", field="only", value=name, hint=f"{guess}Choose from {', '.join(TASKS)}."
            )
    return tuple(task for task in TASKS.values() if (task.name in names if names else task.usual))


def checked_scenes(scenes: int | None) -> int | None:
    """Return the number of scenes; None leaves each task its own. Raises InputError for one out of range."""
    if scenes is not None and not 1 <= scenes <= MAX_SCENES:
        raise InputError(f"must be between 1 and {MAX_SCENES}", field="scenes", value=scenes)
    return scenes
