import os
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import InputError
from sfumato.evaluation.speed import large as module
from sfumato.evaluation.speed.contestants import DIFFUSERS, DIFFUSERS_BFLOAT16, OURS, Contestant
from sfumato.evaluation.speed.figures import Spread
from sfumato.evaluation.speed.large import check_memory, extrapolated, measure_large, share
from sfumato.evaluation.speed.plan import Effort
from sfumato.evaluation.speed.report import LargeReport, Peak
from sfumato.evaluation.speed.sd15 import SD15
from tiny_architecture import TINY

PEAKS = (Peak("openvino", "float32", "matmul", Spread(100.0, 90.0, 110.0, 3)),)


def measured(
    scratch: Path, effort: Effort, ours: tuple[Contestant, ...], baselines: tuple[Contestant, ...]
) -> LargeReport:
    events = measure_large(
        TINY, ours, baselines, PEAKS, effort, 3, environ=os.environ, scratch=scratch, notes=[]
    )
    while True:
        try:
            event = next(events)
            assert event.done < event.total
        except StopIteration as end:
            return end.value


def test_beside_diffusers(tmp_path: Path) -> None:
    effort = Effort(1, 1, 2, 1, 0.01, (1,), None, True)
    report = measured(tmp_path, effort, OURS[1:3], (DIFFUSERS,))
    assert [row.contestant for row in report.rows] == [DIFFUSERS.name, OURS[1].name, OURS[2].name]
    stock, exact, _ = report.rows
    # The baseline took part in the rounds of both.
    assert (stock.step.seconds.n, exact.step.seconds.n) == (4, 2)
    assert (stock.picture.seconds.n, exact.picture.seconds.n) == (2, 1)
    assert stock.step.ratios == {}
    assert exact.step.ratios[DIFFUSERS.name].n == 2
    assert not exact.extrapolated
    assert exact.step_share == pytest.approx(report.step_flops / exact.step.seconds.median / 1e9 / 110)
    assert report.side == 64
    assert exact.memory.peak is None or exact.memory.peak > 10e6


def test_quick_and_without_diffusers(tmp_path: Path) -> None:
    effort = Effort(1, 1, 1, 1, 0.01, (1,), (1, 1), False)
    report = measured(tmp_path, effort, OURS[1:2], ())
    (row,) = report.rows
    assert row.extrapolated
    parts = row.encode.seconds.median + 3 * row.step.seconds.median + row.decode.seconds.median
    assert row.picture.seconds.median == pytest.approx(parts)
    assert row.picture.ratios == {}


def test_a_picture_is_put_together_round_by_round() -> None:
    book = {"encode": [1.0, 2.0], "step": [10.0, 20.0], "decode": [3.0, 4.0]}
    assert extrapolated(book, 20) == [204.0, 406.0]


def test_the_share_of_the_peak() -> None:
    assert share(2_000_000_000, [0.5, 1.0, 8.0], 4.0) == 0.5
    assert share(1, [1.0], None) is None


def test_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def free(num_bytes: int | None) -> Any:
        return lambda: num_bytes

    monkeypatch.setattr(module, "free_memory", free(8_000_000_000))
    with pytest.raises(InputError, match=r"needs about 18 GB of memory, and 8\.0 GB are free"):
        check_memory(SD15, OURS, (DIFFUSERS, DIFFUSERS_BFLOAT16))
    check_memory(TINY, OURS, ())
    monkeypatch.setattr(module, "free_memory", free(None))
    check_memory(SD15, OURS, (DIFFUSERS, DIFFUSERS_BFLOAT16))
