import pytest

from sfumato.errors import InputError
from sfumato.evaluation.edits.table import TASKS, checked_scenes, chosen


def test_no_names_are_the_usual_tasks_and_names_come_in_the_tables_order() -> None:
    usual = [task.name for task in chosen(())]
    others = ["mix-bands", "mix-branches", "mix-embeddings", "mix-words"]
    assert [name for name in TASKS if name not in usual] == others
    assert [task.name for task in chosen(("mix-words", "outside"))] == ["outside", "mix-words"]
    assert all(task.name == name for name, task in TASKS.items())


def test_an_unknown_name_is_met_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"unknown task \(got 'replac'\). Did you mean replace"):
        chosen(("replac",))


@pytest.mark.parametrize("wrong", [0, -1, 10_001])
def test_scenes_have_limits(wrong: int) -> None:
    with pytest.raises(InputError, match="scenes: must be between 1 and 10000"):
        checked_scenes(wrong)
    assert checked_scenes(None) is None
    assert checked_scenes(1) == 1
