"""Loading a model before it is drawn with."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.studio.models_load import Warming, recipe_to_load
from tiny_studio import drawn, followed, open_tiny_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


def test_a_model_is_loaded_in_its_turn_and_given_back(desk: Desk) -> None:
    warming = Warming(desk.settings, desk.models)
    job = followed(desk, desk.queue.submit(recipe_to_load("tiny"), ALONE, warming.draw, "Loading tiny"))
    assert (job.state, job.title, job.pictures) == ("done", "Loading tiny", ())
    assert [one.name for one in desk.models.models] == ["tiny"]
    assert warming.seconds > 0
    assert warming.after is None or warming.after > 10_000_000
    drawn(desk)
    assert [one.name for one in desk.models.models] == ["tiny"]
    assert not desk.models.drop("bundled")
    assert desk.models.drop("tiny")
    assert desk.models.models == ()


def test_what_is_compiled_when_it_is_needed_is_needed_at_once(desk: Desk) -> None:
    settings = replace(desk.settings, backend="openvino", dtype="auto")
    warming = Warming(settings, desk.models)
    percents = [one.percent for one in warming.draw(recipe_to_load("bundled"), 1)]
    assert percents[:2] == [0, 60]
    assert percents[2:] == [90, 90]
    assert desk.gallery.search(ALONE, "") == ()


def test_a_model_that_is_not_here_fails_kindly(desk: Desk) -> None:
    warming = Warming(desk.settings, desk.models)
    for name in ("gone", str(desk.settings.model_dirs[0] / "tiny")):
        job = followed(desk, desk.queue.submit(recipe_to_load(name), ALONE, warming.draw, "Loading"))
        assert job.state == "failed"
        assert "unknown model" in (job.problem or "")
    assert desk.models.models == ()
