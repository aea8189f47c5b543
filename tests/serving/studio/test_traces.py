"""Folders of traces: a few, the newest, and nothing that is not ours is removed."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sfumato.errors import NotFoundError
from sfumato.imaging.io import encode_picture
from sfumato.imaging.metadata import read_metadata
from sfumato.models.cache import ModelCache
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.serving.studio.learn_drawing import Lesson
from sfumato.serving.studio.traces import Traces, animate
from tiny_models import tiny_bundle, tiny_folder, tiny_settings


def filled(path: Path) -> Path:
    (path / "final.png").write_bytes(encode_picture(np.zeros((8, 8, 3), np.uint8), ".png"))
    return path


def test_the_oldest_makes_way(tmp_path: Path) -> None:
    traces = Traces(tmp_path / "traces", most=3)
    made = [filled(traces.new()) for _ in range(3)]
    for age, path in enumerate(made):
        os.utime(path, (1000 + age, 1000 + age))
    traces.new()
    assert [one.is_dir() for one in made] == [False, True, True]
    assert len(list((tmp_path / "traces").iterdir())) == 3


def test_there_are_as_many_as_may_be(tmp_path: Path) -> None:
    traces = Traces(tmp_path, most=8)
    kept = [len([filled(traces.new()).parent, *tmp_path.iterdir()]) - 1 for _ in range(12)]
    assert kept == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]


def test_what_lies_beside_a_trace_goes_with_it(tmp_path: Path) -> None:
    traces = Traces(tmp_path, most=2)
    old = filled(traces.new())
    kept, left, lost = (tmp_path / f"{one}.me.json" for one in (old.name, "letters", "0" * 16))
    for file in (kept, left, lost):
        file.write_text("{}")
    traces.new()
    # A file whose trace went while it was written has none to go with.
    assert [one.exists() for one in (kept, left, lost)] == [True, True, False]
    os.utime(old, (1000, 1000))
    traces.new()
    assert [one.exists() for one in (old, kept, left)] == [False, False, True]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    traces = Traces(tmp_path, most=1)
    (tmp_path / "mine").mkdir()
    old = filled(traces.new())
    (old / "letter.txt").write_text("keep me")
    new = traces.new()
    assert new.is_dir()
    assert (old / "letter.txt").read_text() == "keep me"
    assert not (old / "final.png").exists()
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize("suffix", ["gif", "webp"])
@pytest.mark.parametrize("shown", ["x0", "noisy"])
def test_a_trace_as_an_animation(tmp_path: Path, suffix: str, shown: str) -> None:
    recipe = Recipe(model="tiny", parts=(TextPart(prompt="a frog"),), seed=7, steps=3)
    settings = tiny_settings(tiny_folder().parent)
    lesson = Lesson(settings, ModelCache.of(settings), (recipe,), trace=tmp_path / "trace")
    list(lesson.draw(recipe, 0))
    (drawn,) = lesson.drawn
    path = tmp_path / f"frog.{suffix}"
    animate(tmp_path / "trace", drawn.resolved, drawn.backend, shown, path)  # type: ignore[arg-type]
    with Image.open(path) as image:
        assert image.size == (64, 64)
        # Noise comes first, where it is what is shown; the last step is the picture.
        assert sum(1 for _ in ImageSequence.Iterator(image)) == (3 if shown == "x0" else 4)
    if suffix == "webp":
        assert from_json(read_metadata(path).resolved_json, Resolved) == drawn.resolved


def test_a_trace_that_is_gone(tmp_path: Path) -> None:
    resolved = resolve(Recipe(seed=7), tiny_bundle().defaults)
    with pytest.raises(NotFoundError, match="Show me"):
        animate(tmp_path / "gone", resolved, "torch", "x0", tmp_path / "frog.gif")
    assert not (tmp_path / "frog.gif").exists()
