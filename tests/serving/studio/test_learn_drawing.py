"""What the tab Learn keeps of a drawing, with the tiny model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.engine.events import Done, Picture, Started, StepDone
from sfumato.engine.run import run
from sfumato.errors import RecipeError
from sfumato.imaging.decode import open_picture
from sfumato.models.cache import ModelCache
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.studio.learn_drawing import Frame, Lesson, Mixing, channels_of, frames_at
from sfumato.serving.studio.learn_forms import begun_at, compared, mixed
from sfumato.settings import Settings
from tiny_models import tiny_bundle, tiny_folder, tiny_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(tiny_settings(tiny_folder().parent), data_dir=tmp_path)


@pytest.fixture(scope="module")
def models() -> Iterator[ModelCache]:
    cache = ModelCache.of(tiny_settings(tiny_folder().parent))
    yield cache
    cache.clear()


def frog(**fields: object) -> Recipe:
    parts = (TextPart(prompt="a frog, a (red:1.5) apple"),)
    told = {"model": "tiny", "parts": parts, "seed": 7, "steps": 3, "guidance": 3.0, **fields}
    return Recipe.model_validate(told)


def test_a_lesson_draws_the_same_picture_and_keeps_every_step(
    settings: Settings, models: ModelCache, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    lesson = Lesson(settings, models, (frog(),), trace=trace, keeps=True)
    events = list(lesson.draw(frog(), 0))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Done)
    (plain,) = [one.pixels for one in run(frog(), settings, cache=models) if isinstance(one, Picture)]
    (drawn,) = lesson.drawn
    np.testing.assert_array_equal(drawn.pixels, plain)
    assert [one.row.step for one in drawn.frames] == [0, 1, 2]
    assert all(one.noisy.shape == one.clean.shape == drawn.pixels.shape for one in drawn.frames)
    assert all(one.bearing is not None and one.bearing.sigma == one.row.sigma for one in drawn.frames)
    # What comes out of a step goes into the next.
    saved = np.asarray(open_picture(trace / "step-001-noisy.png", 10**6))
    np.testing.assert_array_equal(drawn.frames[1].noisy, saved)
    begun = np.asarray(open_picture(trace / "step-000-noisy.png", 10**6))
    np.testing.assert_array_equal(drawn.frames[0].noisy, begun)
    assert (trace / "index.html").is_file()


def test_the_prompt_in_pieces(settings: Settings, models: ModelCache) -> None:
    lesson = Lesson(settings, models, (frog(steps=1),))
    list(lesson.draw(frog(), 0))
    spoken = lesson.drawn[0].spoken
    assert spoken is not None
    texts = [one.text for one in spoken.tokens]
    assert (texts[0], texts[-1]) == ("start", "end")
    assert "".join(texts[1:-1]) == "afrog,aredapple"
    assert {one.weight for one in spoken.tokens} == {1.0, 1.5}
    assert len(spoken.tokens) + spoken.padding == tiny_bundle().tokenizer.max_length * spoken.chunks
    assert all(one.norm > 0 for one in spoken.tokens)


def test_several_recipes_are_one_piece_of_work(settings: Settings, models: ModelCache) -> None:
    pair = (frog(), compared(frog(), "steps", "2"))
    lesson = Lesson(settings, models, pair)
    events = list(lesson.draw(frog(), 0))
    assert [one.finished_steps for one in events if isinstance(one, StepDone)] == [1, 2, 3, 4, 5]
    assert {one.total_steps for one in events if isinstance(one, Started | StepDone)} == {5}
    assert not [one for one in events if isinstance(one, Picture)]  # none for the gallery
    assert [len(one.frames) for one in lesson.drawn] == [3, 2]
    # The same noise goes in, the same words: only how far a step goes is another.
    first, second = (one.frames[0] for one in lesson.drawn)
    np.testing.assert_array_equal(first.noisy, second.noisy)


def test_what_is_wrong_is_said_before_anything_is_drawn(settings: Settings, models: ModelCache) -> None:
    lesson = Lesson(settings, models, (frog(), compared(frog(), "sampler", "nonsense")))
    with pytest.raises(RecipeError, match="sampler"):
        next(lesson.draw(frog(), 0))
    assert lesson.drawn == []


def test_a_picture_is_begun_with_at_a_step(settings: Settings, models: ModelCache, tmp_path: Path) -> None:
    first = Lesson(settings, models, (frog(),), trace=tmp_path / "trace")
    list(first.draw(frog(), 0))
    for step, frames in ((1, 2), (3, 0)):
        again = begun_at(frog(), tmp_path / "trace" / "final.png", step, "a rabbit")
        lesson = Lesson(settings, models, (again,))
        list(lesson.draw(again, 0))
        assert len(lesson.drawn[0].frames) == frames


def test_where_words_act(settings: Settings, models: ModelCache) -> None:
    lesson = Lesson(settings, models, (frog(steps=1),), attending=True)
    list(lesson.draw(frog(), 0))
    maps = lesson.drawn[0].words
    assert [one.word for one in maps] == ["a", "frog", "a", "red", "apple"]
    assert sum(float(one.heat.sum()) for one in maps) == pytest.approx(1, abs=1e-4)


def test_a_mix_is_drawn_together(settings: Settings, models: ModelCache) -> None:
    recipes = mixed(frog(steps=2), "a rabbit")
    mixing = Mixing(settings, models, recipes)
    events = list(mixing.draw(recipes[0], 0))
    assert isinstance(events[0], Started)
    assert not [one for one in events if isinstance(one, Picture)]
    assert len(mixing.drawn) == 5
    (alone,) = [one.pixels for one in run(recipes[4], settings, cache=models) if isinstance(one, Picture)]
    apart = np.abs(mixing.drawn[4].pixels.astype(int) - alone)
    assert apart.max() <= 2  # a network rounds differently in another batch
    assert np.abs(mixing.drawn[0].pixels.astype(int) - alone).max() > 2


def test_channels_as_colours() -> None:
    latent = np.zeros((4, 2, 3), np.float32)
    latent[1], latent[2], latent[3, 0, 0] = 9, -9, np.nan
    sheet = channels_of(latent)
    assert sheet.shape == (5, 7, 3)
    assert tuple(sheet[0, 0]) == (245, 243, 238)
    assert tuple(sheet[0, 4]) == (200, 90, 10)
    assert tuple(sheet[3, 0]) == (20, 80, 160)
    assert tuple(sheet[3, 4]) == (245, 243, 238)
    assert channels_of(np.zeros((3, 2, 2), np.float32)).shape == (2, 8, 3)


def test_two_drawings_on_one_slider() -> None:
    frames: list[Frame] = [None] * 5  # type: ignore[list-item] # they are counted only
    assert frames_at(9, frames) == [0, 0, 1, 2, 2, 2, 3, 4, 4]
    assert frames_at(5, frames) == [0, 1, 2, 3, 4]
    assert frames_at(3, frames[:1]) == [0, 0, 0]
    assert frames_at(1, frames) == [4]
