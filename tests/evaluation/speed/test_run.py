"""Whole measurements at tiny sizes; the sections by themselves have tests of their own."""

import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from sfumato.errors import InputError, RecipeError
from sfumato.evaluation.speed import Advanced, Effort, Plan, Report, measure
from sfumato.evaluation.speed.run import child_environment
from sfumato.settings import Settings
from tiny_architecture import TINY
from tiny_models import tiny_folder

EFFORT = Effort(1, 1, 1, 1, 0.01, (1,), (1, 1), False, matrix=64, grid=8)
PLAN = Plan(("large",), str(tiny_folder()), 2, EFFORT, TINY)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Settings(data_dir=tmp_path / "home", backend="openvino", dtype="float32")


def test_stopping_early_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    with closing(measure(PLAN, settings)) as events:
        for event in events:
            assert isinstance(event, Advanced)
            if event.label.startswith("peak: openvino"):
                break
        assert list(tmp_path.glob("sfumato-bench-*"))
    assert not list(tmp_path.glob("sfumato-bench-*"))


@pytest.mark.slow
def test_all_sections(settings: Settings, tmp_path: Path) -> None:
    plan = Plan(("cold", "warm", "large"), str(tiny_folder()), 2, EFFORT, TINY)
    with closing(measure(plan, settings)) as events:
        *_, report = events
    assert isinstance(report, Report)
    assert report.cold is not None
    assert report.warm is not None
    assert report.large is not None
    assert report.quick
    assert set(report.others) == {"cold", "warm", "large"}
    assert report.seconds > 0
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_measured_is_refused_before_the_first_event(settings: Settings) -> None:
    with pytest.raises(InputError, match="nothing that can be measured"):
        next(measure(PLAN, settings.asked(precision="f16")))
    with pytest.raises(RecipeError, match="model"):
        next(measure(Plan(model="no such model"), settings))


def test_what_is_measured_runs_on_the_processor_and_offline() -> None:
    environ = child_environment()
    assert (environ["SFUMATO_DEVICE"], environ["HF_HUB_OFFLINE"]) == ("cpu", "1")
    assert environ["PATH"] == os.environ["PATH"]


def test_the_measuring_process_stays_small() -> None:
    code = (
        "import sys, sfumato.evaluation.speed\n"
        "print(*{'torch', 'openvino', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
