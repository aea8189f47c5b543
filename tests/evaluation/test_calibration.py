"""Ranges for int8-full, measured while the tiny model draws."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.errors import OutputError
from sfumato.evaluation import parity
from sfumato.evaluation.calibration import LARGE, SMALL, Effort, calibrate, effort_for, prompt
from sfumato.evaluation.parity import Observed
from sfumato.models.backends.openvino import networks
from sfumato.models.backends.openvino.backend import load_openvino
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.backends.openvino.ranges import RANGES_FILE, read_ranges
from sfumato.models.load import FoundModel, find_model
from tiny_models import tiny_folder, tiny_settings


@pytest.fixture
def found() -> FoundModel:
    return find_model(str(tiny_folder()), tiny_settings())


def test_every_step_is_told_and_ranges_are_stored(found: FoundModel, tmp_path: Path) -> None:
    place = CachePlace(tmp_path, found.defaults.digest)
    path = place.of_precision("int8-full") / RANGES_FILE
    path.parent.mkdir(parents=True)
    assert list(calibrate(found, path, Effort(2, 3))) == [Observed(step, 6) for step in range(1, 7)]
    assert read_ranges(path, found.defaults.digest)

    ours = load_openvino(found.files, "int8-full", place)
    exact = load_openvino(found.files, "float32")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 8, 8)).astype(np.float32)
    context = exact.encode_text(rng.integers(0, 600, (2, 16)))
    theirs = exact.predict(x, 999.0, context)
    error = np.linalg.norm(ours.predict(x, 999.0, context) - theirs) / np.linalg.norm(theirs)
    assert 1e-3 < error < 0.5  # these numbers are not those that were drawn with
    assert ours.name == "openvino cpu int8-full"


def test_no_more_steps_than_usual_and_nothing_without_an_end(found: FoundModel, tmp_path: Path) -> None:
    path = tmp_path / "ranges"
    with closing(calibrate(found, path, Effort(1, 50))) as events:
        assert next(events) == Observed(1, found.defaults.steps)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError):
        list(calibrate(found, tmp_path / "none" / "ranges", Effort(1, 1)))


def test_large_models_are_worth_less(found: FoundModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert effort_for(found) == SMALL
    monkeypatch.setattr(networks, "SMALL_BYTES", 0)
    assert effort_for(replace(found)) == LARGE
    assert LARGE.pictures * LARGE.steps < SMALL.pictures * SMALL.steps


def test_nothing_that_is_compared_is_measured() -> None:
    prompts = [prompt(index) for index in range(SMALL.pictures)]
    assert len(set(prompts)) == SMALL.pictures
    assert not set(prompts) & set(parity.PROMPTS)
    assert prompts[2] == "two penguins on a purple background"
