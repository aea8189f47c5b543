"""What the first picture needs is loaded before somebody asks for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.models.cache import ModelCache
from sfumato.models.folders import BUNDLED
from sfumato.serving.desk import ALONE, open_desk
from sfumato.serving.warming import Warmer
from sfumato.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings.from_environment({}), data_dir=tmp_path)


def test_the_bundled_model_stays_loaded(settings: Settings) -> None:
    models = ModelCache.of(settings)
    warmer = Warmer(settings, models)
    warmer.wait()  # nothing began
    assert models.models == ()
    warmer.start()
    warmer.start()
    warmer.wait()
    assert [(one.name, one.users) for one in models.models] == [(BUNDLED, 0)]


def test_it_ends_with_the_desk_and_keeps_nothing(settings: Settings) -> None:
    with open_desk(settings) as desk:
        desk.warmer.start()
    desk.warmer.wait()
    with open_desk(settings) as desk:
        assert desk.gallery.count(ALONE) == 0
