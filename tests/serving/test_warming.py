"""What the first picture needs is loaded before somebody asks for it."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.models.cache import ModelCache
from sfumato.models.folders import BUNDLED
from sfumato.serving.desk import ALONE, open_desk
from sfumato.serving.warming import warm_up
from sfumato.settings import Settings
from tiny_studio import followed, frog


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings.from_environment({}), data_dir=tmp_path)


def test_the_bundled_model_stays_loaded(settings: Settings) -> None:
    models = ModelCache.of(settings)
    warm_up(settings, models, lambda: False)
    assert [(one.name, one.users) for one in models.models] == [(BUNDLED, 0)]


def test_it_leaves_off_when_somebody_waits(settings: Settings) -> None:
    models, answers = ModelCache.of(settings), iter([False, True])
    warm_up(settings, models, lambda: next(answers))
    assert next(answers, None) is None
    assert all(one.users == 0 for one in models.models)
    others = ModelCache.of(settings)
    warm_up(settings, others, lambda: True)
    assert others.models == ()


def test_what_goes_wrong_stops_nobody(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([False])  # then it raises
    with caplog.at_level(logging.ERROR, "sfumato.serving"):
        warm_up(settings, ModelCache.of(settings), lambda: next(answers))
    assert "could not be loaded ahead" in caplog.text
    caplog.clear()
    nowhere = replace(settings, backend="no such backend")
    warm_up(nowhere, ModelCache.of(nowhere), lambda: False)
    assert caplog.text == ""  # whoever draws is told


def test_a_desk_that_is_warm_has_loaded_it_before_it_draws(settings: Settings) -> None:
    for warm, loaded in ((True, [BUNDLED]), (False, [])):
        with open_desk(settings, warm=warm) as desk:
            while warm and not desk.models.models:
                pass
            assert [one.name for one in desk.models.models] == loaded
            job = followed(desk, desk.queue.submit(frog(model=BUNDLED), ALONE))
            assert job.state == "done"
