import json
from contextlib import closing
from pathlib import Path

import pytest

from judged import needs_font, write_judge
from sfumato.errors import InputError, ModelFileError, RecipeError
from sfumato.evaluation.edits import Edited, EditsReport, EditsStarted, edits_to_data, evaluate_edits
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.scenes import drawing
from tiny_models import tiny_folder, tiny_settings

RECIPE = Recipe(model=str(tiny_folder()), steps=1, sampler="euler", seed=5)
ONLY = ("outside", "replace", "mix")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_judge(tmp_path_factory.mktemp("judge"))


def report(recipe: Recipe, judge: Path, scenes: int = 1, only: tuple[str, ...] = ("replace",)) -> EditsReport:
    *_, last = evaluate_edits(recipe, tiny_settings(), only=only, scenes=scenes, judge=judge)
    assert isinstance(last, EditsReport)
    return last


@needs_font
def test_events_are_the_start_then_every_edit_then_the_report(judge: Path) -> None:
    events = list(evaluate_edits(RECIPE, tiny_settings(), only=ONLY, scenes=2, judge=judge))
    start, last = events[0], events[-1]
    assert isinstance(start, EditsStarted)
    assert isinstance(last, EditsReport)
    assert start.total == 2 * 4 + 2 + 2 * 2 == len(events) - 2
    assert [task.name for task in start.tasks] == list(ONLY)
    edited = [event for event in events if isinstance(event, Edited)]
    assert [event.finished for event in edited] == list(range(1, start.total + 1))
    assert last.complete
    assert [len(scored.cases) for scored in last.tasks] == [8, 2, 4]
    assert [event.case.title for event in edited] == [case.title for one in last.tasks for case in one.cases]
    assert (last.setup.steps, last.setup.sampler, last.setup.seed) == (1, "euler", 5)
    (outside, *_) = last.tasks
    assert outside.figures[0].measure.value == 1.0  # bit for bit, with any weights


@needs_font
def test_equal_arguments_give_equal_reports_and_other_seeds_do_not(judge: Path) -> None:
    seeds = (5, 5, 6)
    only = ("outside", "mix")
    texts = [
        json.dumps(edits_to_data(report(RECIPE.model_copy(update={"seed": seed}), judge, 1, only)))
        for seed in seeds
    ]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@needs_font
def test_fewer_scenes_are_the_first_of_more(judge: Path) -> None:
    (one,), (three,) = (report(RECIPE, judge, scenes).tasks for scenes in (1, 3))
    assert [dict(case.values) for case in one.cases] == [dict(case.values) for case in three.cases[:1]]
    assert one.cases[0].title == three.cases[0].title


@needs_font
def test_a_task_without_the_judge_does_not_ask_for_it(tmp_path: Path) -> None:
    found = report(RECIPE, tmp_path / "none.safetensors", 1, ("outside",))
    assert found.setup.judge_digest == ""
    with pytest.raises(ModelFileError, match="judge"):
        report(RECIPE, tmp_path / "none.safetensors", 1, ("replace",))


@needs_font
def test_what_a_task_lacks_is_said_before_anything_is_drawn(
    judge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(recipe: Recipe = RECIPE, **changes: object) -> None:
        with closing(evaluate_edits(recipe, tiny_settings(), **{"judge": judge, **changes})) as events:  # type: ignore[arg-type]
            next(events)

    with pytest.raises(RecipeError, match="control"):
        first()  # the ControlNet does not fit the tiny model
    with pytest.raises(InputError, match="unknown task"):
        first(only=("replaced",))
    with pytest.raises(InputError, match="scenes"):
        first(scenes=0)
    with pytest.raises(RecipeError, match="asks its own edits"):
        first(RECIPE.model_copy(update={"count": 2}))
    with pytest.raises(RecipeError, match="asks its own edits"):
        first(RECIPE.model_copy(update={"parts": (TextPart(prompt="a frog"),)}))
    monkeypatch.setattr(drawing, "FONT_PATHS", (Path("/nowhere/font.ttf"),))
    with pytest.raises(InputError, match="font"):
        first(only=("replace",))
