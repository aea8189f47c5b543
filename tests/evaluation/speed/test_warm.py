import os
from pathlib import Path

import pytest

from sfumato.errors import SfumatoError
from sfumato.evaluation.speed.contestants import DIFFUSERS, OURS, Contestant
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.plan import Effort
from sfumato.evaluation.speed.report import Subject, WarmReport
from sfumato.evaluation.speed.warm import measure_warm
from tiny_models import tiny_folder

SUBJECT = Subject("tiny", "a frog on a beach", 64, 64, 2, 3.0, 0.0, 7)
EFFORT = Effort(1, 2, 1, 1, 0.05, (1, 2), None, True)


def measured(scratch: Path, *contestants: Contestant) -> tuple[WarmReport, list[Advanced], list[str]]:
    notes: list[str] = []
    events = measure_warm(
        SUBJECT, tiny_folder(), (8, 8), contestants, EFFORT, environ=os.environ, scratch=scratch, notes=notes
    )
    seen: list[Advanced] = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return end.value, seen, notes


def test_two_of_ours_beside_diffusers(tmp_path: Path) -> None:
    report, events, notes = measured(tmp_path, *OURS[:2], OURS[3], DIFFUSERS)
    left_out = len(notes)  # a processor without bfloat16, or 8 bits
    assert len(report.rows) == 2 * (4 - left_out)
    for row in report.rows:
        assert row.steps_per_second.n == 2
        assert row.pictures_per_second is not None
        assert row.pictures_per_second.median > 0
        assert row.steps_per_second.median > 0
        theirs = row.contestant == DIFFUSERS.name
        assert [one is None for one in (row.step_ratio, row.fast_per_second, row.fast_gain)] == [theirs] * 3
    ours = [row for row in report.rows if row.contestant == OURS[1].name]
    assert [row.batch for row in ours] == [1, 2]
    assert ours[0].step_ratio is not None
    assert ours[0].step_ratio.median > 1  # even the tiny model
    assert set(report.load_seconds) == {row.contestant for row in report.rows}
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[-1].done <= events[-1].total


def test_without_diffusers_there_are_no_ratios(tmp_path: Path) -> None:
    report, _, notes = measured(tmp_path, OURS[1])
    assert [row.step_ratio for row in report.rows] == [None, None]
    assert notes == []
    assert report.rows[0].steps_per_second.median > 0


def test_nobody_leaves_nothing(tmp_path: Path) -> None:
    report, _, _ = measured(tmp_path)
    assert report.rows == ()


def test_a_contestant_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(SfumatoError, match="sfumato openvino float16: InputError: dtype"):
        measured(tmp_path, Contestant("sfumato", "openvino", "float16"))
