"""Lessons are found again as they were, by whom they belong to, as long as their trace is there."""

import json
import os
from pathlib import Path

import pytest

from sfumato.errors import OutputError
from sfumato.models.cache import ModelCache
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.studio.learn_kept import VERSION, KeptLesson, Shown, beside, keep, newest
from sfumato.serving.studio.learn_page import lesson_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.traces import Traces
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_folder, tiny_settings

WORDS = words_of(Look())


def drawn(traces: Traces, owner: str, prompt: str = "a frog") -> Shown:
    recipe = Recipe(model="tiny", parts=(TextPart(prompt=prompt),), seed=7, steps=3, guidance=2.0)
    settings = tiny_settings(tiny_folder().parent)
    lesson = KeptLesson(settings, ModelCache.of(settings), (recipe,), owner=owner, traces=traces)
    assert not traces.folder.exists() or lesson.trace is None  # it has none before its turn
    list(lesson.draw(recipe, 0))
    return lesson.shown


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    return Traces(tmp_path / "traces")


def test_it_shows_what_it_showed(traces: Traces) -> None:
    made = drawn(traces, "me")
    found = newest(traces.folder, "me")
    assert found is not None
    assert (found.recipe, found.trace) == (made.recipe, made.trace)
    assert found.drawn.resolved == made.drawn.resolved
    assert len(found.drawn.frames) == 3
    assert lesson_of(found.drawn, WORDS) == lesson_of(made.drawn, WORDS)


def test_everybody_finds_their_own_newest(traces: Traces) -> None:
    for age, (owner, prompt) in enumerate((("me", "a frog"), ("me", "a rabbit"), ("you", "a boat"))):
        made = drawn(traces, owner, prompt)
        (beside,) = traces.folder.glob(f"{made.trace.name}.*.json")
        os.utime(beside, (1000 + age, 1000 + age))
        assert owner not in beside.name
    mine, yours = newest(traces.folder, "me"), newest(traces.folder, "you")
    assert mine is not None
    assert yours is not None
    assert [one.drawn.resolved.text.prompt for one in (mine, yours) if one.drawn.resolved.text] == [
        "a rabbit",
        "a boat",
    ]
    assert newest(traces.folder, "nobody") is None


def test_what_cannot_be_read_is_passed_over(traces: Traces) -> None:
    older, newer = drawn(traces, "me"), drawn(traces, "me", "a rabbit")
    (beside,) = traces.folder.glob(f"{newer.trace.name}.*.json")
    written = json.loads(beside.read_bytes())
    other = {**written, "version": VERSION + 1}
    cut = {**written, "drawn": {**written["drawn"], "frames": [{}]}}
    for broken in ("{", "[]", json.dumps(other), json.dumps(cut)):
        beside.write_text(broken)
        found = newest(traces.folder, "me")
        assert found is not None
        assert found.trace == older.trace
    keep(newer, "me")
    (newer.trace / "step-001-x0.png").unlink()
    found = newest(traces.folder, "me")
    assert found is not None
    assert found.trace == older.trace


def test_it_goes_with_its_trace(traces: Traces) -> None:
    few = Traces(traces.folder, most=1)
    drawn(few, "me")
    few.new()
    assert [*traces.folder.glob("*.json")] == []
    assert newest(traces.folder, "me") is None
    assert newest(traces.folder / "missing", "me") is None


def test_what_makes_way_while_it_is_looked_for_is_passed_over(traces: Traces) -> None:
    made = drawn(traces, "me")
    # As a folder has it that was listed before its file went: a name, and nothing to be asked behind it.
    beside(traces.folder / "0123456789abcdef", "me").symlink_to(traces.folder / "gone")
    found = newest(traces.folder, "me")
    assert found is not None
    assert found.trace == made.trace


def test_a_lesson_that_cannot_be_kept_is_drawn(traces: Traces, tmp_path: Path) -> None:
    made = drawn(traces, "me")
    file = beside(made.trace, "me")
    file.unlink()
    file.mkdir()  # nothing can be written there
    with pytest.raises(OutputError):
        keep(made, "me")
    assert newest(traces.folder, "me") is None


def test_files_beside_a_trace_have_names_of_their_own(tmp_path: Path) -> None:
    trace = tmp_path / "0123456789abcdef"
    names = [beside(trace, *one).name for one in (("me",), ("you",), ("me", "heat"), ("me", "mix"))]
    assert len({*names}) == 4
    assert all(one.startswith("0123456789abcdef.") and one.endswith(".json") for one in names)
    assert names[2].startswith(names[0].removesuffix(".json"))
