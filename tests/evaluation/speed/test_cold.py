import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import SfumatoError
from sfumato.evaluation.speed.cold import measure_cold, psnr, stages_of, stock_argument
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.fresh import Ran
from sfumato.evaluation.speed.report import ColdReport, Subject
from sfumato.settings import Settings
from tiny_models import tiny_folder

SUBJECT = Subject(str(tiny_folder()), "a frog on a beach", 64, 64, 2, 3.0, 0.0, 7)
SETTINGS = Settings(data_dir=Path("unused"), backend="openvino", dtype="float32")


def measured(scratch: Path, subject: Subject, *, compare: bool) -> tuple[ColdReport, list[Advanced]]:
    environ = {**os.environ, "SFUMATO_HOME": str(scratch / "given")}
    events = measure_cold(
        subject, tiny_folder(), SETTINGS, 1, compare=compare, environ=environ, scratch=scratch
    )
    seen: list[Advanced] = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return end.value, seen


def test_sfumato_alone(tmp_path: Path) -> None:
    report, events = measured(tmp_path, SUBJECT, compare=False)
    assert report.backend == "openvino cpu float32"
    assert report.modules == ()
    assert (report.diffusers, report.ratio, report.first_ratio, report.psnr) == (None, None, None, None)
    assert report.first.exit_seconds.median >= report.first.seconds.median > 0
    # The graphs that the round before stored were used, and every first run found none.
    stored = [sorted(folder.rglob("*.graph")) for folder in sorted(tmp_path.glob("home*")) if folder.is_dir()]
    assert [len(paths) for paths in stored] == [3, 3, 3]
    assert not (tmp_path / "given").exists()
    assert report.sfumato.exit_seconds.median >= report.sfumato.seconds.median > 0
    assert sum(report.stages.values()) == pytest.approx(report.sfumato.seconds.median, rel=0.05)
    assert report.stages["start"] > 0
    assert [(event.done, event.total) for event in events] == [(0, 4), (1, 4), (2, 4), (3, 4)]


@pytest.mark.slow
def test_beside_diffusers(tmp_path: Path) -> None:
    report, _ = measured(tmp_path, SUBJECT, compare=True)
    assert report.diffusers is not None
    assert report.ratio is not None
    expected = report.diffusers.seconds.median / report.sfumato.seconds.median
    assert report.ratio.median == pytest.approx(expected)
    assert report.ratio.median > 1
    assert report.psnr is not None
    assert report.psnr > 50


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    subject = Subject(str(tmp_path), "a frog", 64, 64, 2, 3.0, 0.0, 7)
    with pytest.raises(SfumatoError, match=r"sfumato generate failed: error: model: .*missing"):
        measured(tmp_path, subject, compare=False)


def test_the_script_is_told_everything() -> None:
    asked = json.loads(stock_argument(SUBJECT, Path("model"), Path("p.png")))
    assert (asked["folder"], asked["output"], asked["steps"], asked["guidance"]) == ("model", "p.png", 2, 3.0)


def test_what_the_command_does_not_know_is_its_start() -> None:
    stages = {
        "import": 0.2,
        "load": 0.1,
        "encode": 0.1,
        "steps": 0.3,
        "preview": 0.0,
        "decode": 0.1,
        "save": 0.1,
    }
    said = json.dumps({"seconds": {**stages, "total": 0.9}})
    found = stages_of([Ran(seconds, 2.0, None, said) for seconds in (1.2, 1.1, 1.5)])
    assert found.pop("start") == pytest.approx(0.3)
    assert found == stages


def test_psnr(tmp_path: Path) -> None:
    a, b, c = (tmp_path / f"{name}.png" for name in "abc")
    pixels = np.zeros((8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(a)
    Image.fromarray(pixels + 51).save(b)
    Image.fromarray(pixels[:4]).save(c)
    assert psnr(a, a) == math.inf
    assert psnr(a, b) == pytest.approx(20 * math.log10(5))
    assert psnr(a, c) is None
