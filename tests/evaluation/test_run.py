import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from judged import needs_font, write_judge
from sfumato.engine.events import Picture
from sfumato.engine.run import run
from sfumato.errors import InputError, ModelFileError, RecipeError
from sfumato.evaluation import Budget, EvaluationStarted, Judged, Report, draw_grid, evaluate, to_json
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.scenes import drawing
from tiny_models import tiny_folder, tiny_settings

BUDGET = Budget(4, 3, 3, 2, 2, 2, 2, 3)
RECIPE = Recipe(model=str(tiny_folder()), steps=2, sampler="euler", seed=5)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_judge(tmp_path_factory.mktemp("judge"), accuracy={"objects": 0.5, "style": 0.75})


@pytest.fixture
def no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FONT_PATHS", (Path("/nowhere/font.ttf"),))


def _report(recipe: Recipe, judge: Path, budget: Budget = BUDGET) -> Report:
    *_, last = evaluate(recipe, tiny_settings(), budget=budget, judge=judge)
    assert isinstance(last, Report)
    return last


@needs_font
def test_events_are_the_start_then_every_picture_then_the_report(judge: Path) -> None:
    events = list(evaluate(RECIPE, tiny_settings(), budget=BUDGET, judge=judge))
    start, report = events[0], events[-1]
    assert isinstance(start, EvaluationStarted)
    assert isinstance(report, Report)
    assert start.total == BUDGET.pictures == 20
    assert (start.setup.steps, start.setup.sampler, start.setup.seed) == (2, "euler", 5)
    judged = [event for event in events if isinstance(event, Judged)]
    assert [event.finished for event in judged] == list(range(1, 21))
    assert len(events) == 22
    assert [event.sample.judgement for event in judged] == list(report.judgements)
    assert report.setup == start.setup

    assert report.frechet is not None
    assert report.frechet_floor is not None
    assert report.diversity is not None
    assert report.frechet.n == report.frechet_floor.n == 16  # all but the extra seeds
    assert report.frechet.value > report.frechet_floor.value
    assert report.diversity.n == 2
    assert report.speed.n == 19
    assert 0 < report.speed.low <= report.speed.value <= report.speed.high
    for score in report.scores:
        assert score.ceiling is not None
        assert score.ceiling.n == score.share.n
        assert score.rebuilt is not None
        assert score.rebuilt.n == score.share.n
    assert report.psnr is not None
    assert report.psnr.n == 16
    assert 0 < report.psnr.low < report.psnr.value < report.psnr.high < 60
    assert draw_grid(report.samples).width > 1000


def test_the_setup_says_what_makes_it_fast(judge: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))
    defaults = json.loads((folder / "sfumato.json").read_text())
    fast = {"fast_cache_interval": 4, "fast_guidance_start": 0.1, "fast_guidance_stop": 0.7}
    (folder / "sfumato.json").write_text(json.dumps({**defaults, **fast}))
    found = []
    for changes in ({}, {"fast": True}, {"fast": True, "cache_interval": 2}, {"cache_interval": 5}):
        recipe = RECIPE.model_copy(update={"model": str(folder), **changes})
        with closing(evaluate(recipe, tiny_settings(), judge=judge)) as events:
            start = next(events)
        assert isinstance(start, EvaluationStarted)
        setup = start.setup
        found.append((setup.cache_interval, setup.guidance_start, setup.guidance_stop))
    assert found == [(1, 0.0, 1.0), (4, 0.1, 0.7), (2, 0.1, 0.7), (5, 0.0, 1.0)]


def test_a_slower_backend_is_noted(judge: Path) -> None:
    settings = replace(tiny_settings(), backend="auto", dtype="float16")
    with closing(evaluate(RECIPE, settings, budget=BUDGET, judge=judge)) as events:
        start = next(events)
    assert isinstance(start, EvaluationStarted)
    assert start.setup.backend == "torch cpu float16"
    assert start.notes[0].startswith("Drawing with torch, which is slower here: ")


@needs_font
def test_equal_seeds_give_equal_reports_and_other_seeds_do_not(judge: Path) -> None:
    budget = Budget(2, 1, 1, 1, 1, 1, 1, 2)
    texts = []
    for seed in (5, 5, 6):
        data = json.loads(to_json(_report(RECIPE.model_copy(update={"seed": seed}), judge, budget)))
        del data["speed"]
        texts.append(json.dumps(data))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.usefixtures("no_font")
def test_without_the_font_the_stored_accuracy_is_the_ceiling_and_the_report_says_so(judge: Path) -> None:
    events = list(evaluate(RECIPE, tiny_settings(), budget=Budget(2, 1, 1, 1, 1, 1, 1, 2), judge=judge))
    start, report = events[0], events[-1]
    assert isinstance(start, EvaluationStarted)
    assert isinstance(report, Report)
    assert "font was not found" in start.notes[0]
    assert start.notes[0] in report.notes
    assert (report.frechet, report.frechet_floor, report.diversity) == (None, None, None)
    assert {score.question: score.stored_ceiling for score in report.scores} == {
        "object": 0.5,
        "background": None,
        "style": 0.75,
        "both objects": None,
    } | ({"time": None} if any(score.question == "time" for score in report.scores) else {})


@pytest.mark.usefixtures("no_font")
def test_a_judged_picture_is_the_picture_that_generate_draws(judge: Path) -> None:
    """What is scored is what a user gets for the same prompt and seed."""
    with_seed = evaluate(RECIPE, tiny_settings(), budget=BUDGET, judge=judge)
    next(with_seed)
    for _ in range(2):
        event = next(with_seed)
    with_seed.close()
    assert isinstance(event, Judged)
    asked = event.sample.judgement.asked
    recipe = RECIPE.model_copy(update={"parts": (TextPart(prompt=asked.prompt),), "seed": asked.seed})
    (picture,) = [one for one in run(recipe, tiny_settings()) if isinstance(one, Picture)]
    assert (picture.pixels == event.sample.pixels).all()


@pytest.mark.usefixtures("no_font")
def test_the_seed_is_one_unless_given(judge: Path) -> None:
    events = evaluate(RECIPE.model_copy(update={"seed": None}), tiny_settings(), judge=judge)
    start = next(events)
    events.close()
    assert isinstance(start, EvaluationStarted)
    assert start.setup.seed == 1
    assert start.total == 660


@pytest.mark.parametrize("wrong", [{"count": 2}, {"parts": (TextPart(prompt="a frog"),)}])
def test_a_recipe_with_its_own_prompts_is_refused(wrong: dict[str, object], judge: Path) -> None:
    with pytest.raises(RecipeError, match="asks its own prompts"):
        next(evaluate(RECIPE.model_copy(update=wrong), tiny_settings(), judge=judge))


def test_what_is_missing_or_damaged_is_said_before_anything_is_drawn(judge: Path, tmp_path: Path) -> None:
    broken = tmp_path / "judge.safetensors"
    broken.write_bytes(judge.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match="judge"):
        next(evaluate(RECIPE, tiny_settings(), judge=broken))
    with pytest.raises(ModelFileError, match="judge"):
        next(evaluate(RECIPE, tiny_settings(), judge=tmp_path / "none.safetensors"))
    with pytest.raises(InputError, match="font: "):
        next(evaluate(RECIPE, tiny_settings(), judge=judge, font=tmp_path / "none.ttf"))
    with pytest.raises(RecipeError, match="unknown model"):
        next(evaluate(Recipe(model="bundledd"), tiny_settings(), judge=judge))
    with pytest.raises(RecipeError, match="unknown sampler"):
        next(evaluate(RECIPE.model_copy(update={"sampler": "eulr"}), tiny_settings(), judge=judge))
