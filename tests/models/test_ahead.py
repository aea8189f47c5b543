import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.models.ahead import begin, usual_work
from sfumato.models.backends.base import Work
from sfumato.models.backends.openvino.networks import Network
from sfumato.models.files import locate
from sfumato.models.folders import find_folder
from sfumato.models.load import find_model, load
from sfumato.settings import Settings
from tiny_models import tiny_folder, tiny_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(tiny_settings(), backend="openvino", data_dir=tmp_path / "data")


def test_what_was_begun_is_what_draws(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = begin(str(tiny_folder()), settings, rows=2)
    assert ahead is not None
    found = find_model(str(tiny_folder()), settings)
    bundle = load(found, settings, ahead)
    assert bundle.backend is ahead.backend
    ids = np.zeros((1, 16), np.int64)
    x = np.ones((2, 4, 8, 8), np.float32)
    plain = load(found, settings).backend
    context = np.repeat(plain.encode_text(ids), 2, axis=0)
    expected = plain.predict(x, 500.0, context), plain.decode(x[:1])
    ahead.backend.encode_text(ids)  # waits for whichever graph is not ready yet
    ahead.backend.predict(x, 500.0, context)
    ahead.backend.decode(x[:1])
    monkeypatch.setattr(Network, "_built", None)  # from here on, nothing new can be compiled
    np.testing.assert_array_equal(ahead.backend.predict(x, 500.0, context), expected[0])
    np.testing.assert_array_equal(ahead.backend.decode(x[:1]), expected[1])


def test_other_settings_and_other_models_are_loaded_by_themselves(settings: Settings, tmp_path: Path) -> None:
    ahead = begin(str(tiny_folder()), settings)
    assert ahead is not None
    found = find_model(str(tiny_folder()), settings)
    precise = replace(settings, dtype="bfloat16")
    assert load(found, precise, ahead).backend.name == "openvino cpu bfloat16"
    copy = shutil.copytree(tiny_folder(), tmp_path / "copy")
    assert load(find_model(str(copy), settings), settings, ahead).backend is not ahead.backend


def test_what_is_wrong_is_said_later(settings: Settings, tmp_path: Path) -> None:
    assert begin("no such model", settings, rows=2) is None
    broken = Path(shutil.copytree(tiny_folder(), tmp_path / "broken"))
    (broken / "unet" / "config.json").write_text("{")
    assert begin(str(broken), settings, rows=2) is None
    assert begin(str(tiny_folder()), replace(settings, dtype="float8"), rows=2) is None
    assert begin(str(tiny_folder()), tiny_settings(), rows=2) is None  # which draw with torch


def test_the_usual_work_is_the_models_own_size() -> None:
    assert usual_work(locate(tiny_folder()), 2) == Work((1, 16), 2, 8, 8)
    bundled = locate(find_folder("bundled", tiny_settings()))
    assert usual_work(bundled, 1, reusing=True) == Work((1, 32), 1, 16, 16, True)


def test_a_size_of_its_own_is_taken_from_the_defaults(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "wide"))
    (folder / "sfumato.json").write_text(json.dumps({"width": 128, "height": 64}))
    assert usual_work(locate(folder), 2) == Work((1, 16), 2, 8, 16)
