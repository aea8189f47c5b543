"""What is tried out with a picture is kept beside its trace, and shows the same when it is read again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import RecipeError
from sfumato.models.cache import ModelCache
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.studio.learn_kept import VERSION, KeptLesson, Shown, beside
from sfumato.serving.studio.learn_tried import FIELDS, KINDS, Asked, Kind, page_of, trial_of, tried_with
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.traces import FINAL, Traces
from sfumato.serving.studio.words import words_of
from sfumato.settings import Settings
from tiny_models import tiny_folder, tiny_settings

WORDS = words_of(Look())
ASKED: dict[Kind, tuple[Any, ...]] = {
    "heat": (),
    "compare": ("prompt", "a rabbit", "euler"),
    "begin": (1, "a rabbit"),
    "mix": ("a rabbit",),
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return tiny_settings(tiny_folder().parent)


@pytest.fixture(scope="module")
def models(settings: Settings) -> Iterator[ModelCache]:
    cache = ModelCache.of(settings)
    yield cache
    cache.clear()


@pytest.fixture
def shown(settings: Settings, models: ModelCache, tmp_path: Path) -> Shown:
    recipe = Recipe(model="tiny", parts=(TextPart(prompt="a frog"),), seed=7, steps=2, guidance=2.0)
    lesson = KeptLesson(settings, models, (recipe,), owner="me", traces=Traces(tmp_path / "traces"))
    list(lesson.draw(recipe, 0))
    return lesson.shown


@pytest.mark.parametrize("kind", KINDS)
def test_it_shows_what_it_showed(shown: Shown, settings: Settings, models: ModelCache, kind: Kind) -> None:
    trial = trial_of(Asked.of(kind, ASKED[kind]), shown, settings, models, "me")
    list(trial.draw(trial.recipes[0], 0))
    page = page_of(trial.tried, shown, WORDS)
    assert "<img" in page
    (found,) = tried_with(shown.trace, "me")
    assert found.asked == trial.asked
    assert page_of(found, shown, WORDS) == page
    assert tried_with(shown.trace, "you") == ()
    # The newest of a kind takes the place of the one before.
    list(trial.draw(trial.recipes[0], 0))
    assert len([*shown.trace.parent.glob(f"*.{kind}.json")]) == 1


def test_fields_are_texts_and_a_step() -> None:
    assert [*FIELDS] == [*KINDS]
    assert Asked.of("begin", (None, None)).fields == {"begin_step": 0, "begin_prompt": ""}
    assert Asked.of("compare", ("sampler", None, "euler")).text("other") == ""
    with pytest.raises(ValueError, match="compare"):
        Asked.of("compare", ("<img>", "", ""))


def test_what_cannot_be_done_is_said(shown: Shown, settings: Settings, models: ModelCache) -> None:
    for kind, values in (("mix", ("",)), ("compare", ("prompt", " ", "")), ("compare", ("steps", "x", ""))):
        with pytest.raises(RecipeError):
            trial_of(Asked.of(kind, values), shown, settings, models, "me")  # type: ignore[arg-type]


def test_what_cannot_be_read_is_left_out(shown: Shown, settings: Settings, models: ModelCache) -> None:
    trial = trial_of(Asked.of("mix", ASKED["mix"]), shown, settings, models, "me")
    list(trial.draw(trial.recipes[0], 0))
    file = beside(shown.trace, "me", "mix")
    told = json.loads(file.read_bytes())
    for broken in (
        "",
        "[]",
        {**told, "version": VERSION + 1},
        {**told, "fields": {}},
        {**told, "drawn": [1]},
    ):
        file.write_text(broken if isinstance(broken, str) else json.dumps(broken))
        assert tried_with(shown.trace, "me") == ()
    # Too few pictures are no mix.
    file.write_text(json.dumps({**told, "drawn": told["drawn"][:2]}))
    (found,) = tried_with(shown.trace, "me")
    with pytest.raises(ValueError, match="zip"):
        page_of(found, shown, WORDS)


def test_nothing_is_kept_of_a_trace_that_made_way(
    shown: Shown, settings: Settings, models: ModelCache
) -> None:
    trial = trial_of(Asked.of("mix", ASKED["mix"]), shown, settings, models, "me")
    (shown.trace / FINAL).unlink()
    list(trial.draw(trial.recipes[0], 0))
    assert len(trial.tried.drawn) == 5
    assert tried_with(shown.trace, "me") == ()
    assert not beside(shown.trace, "me", "mix").exists()


def test_begun_no_later_than_there_are_steps(shown: Shown, settings: Settings, models: ModelCache) -> None:
    trial = trial_of(Asked.of("begin", (50, "")), shown, settings, models, "me")
    assert trial.recipes[0].image is not None
    assert trial.recipes[0].image.start_step == 2
    same = replace(trial, owner="you").recipes[0].text
    assert same is not None
    assert same.prompt == "a frog"
