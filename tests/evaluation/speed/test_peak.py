import os
from pathlib import Path

from sfumato.evaluation.speed.peak import measure_peaks
from sfumato.evaluation.speed.plan import Effort
from sfumato.evaluation.speed.report import best

EFFORT = Effort(1, 1, 1, 2, 0.01, (1,), None, True, matrix=64, grid=8)


def test_openvino_alone(tmp_path: Path) -> None:
    events = measure_peaks(EFFORT, torch=False, environ=os.environ, scratch=tmp_path)
    while True:
        try:
            event = next(events)
            assert event.done < event.total
        except StopIteration as end:
            peaks = end.value
            break
    assert {(peak.library, peak.task) for peak in peaks} == {
        ("openvino", "matmul"),
        ("openvino", "convolution"),
    }
    assert all(peak.gflops.n == 2 for peak in peaks)
    fastest = best(peaks, "float32")
    assert fastest is not None
    assert fastest > 0.1
