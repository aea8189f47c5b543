import json
from dataclasses import replace

from sfumato.evaluation.speed.figures import Spread
from sfumato.evaluation.speed.report import Peak, best, to_data
from speed_reports import REPORT


def test_json_holds_everything_in_six_digits() -> None:
    data = json.loads(json.dumps(to_data(REPORT), allow_nan=False))
    assert data["version"] == 1
    assert data["cold"]["ratio"] == {"median": 8.0, "low": 7.5, "high": 8.5, "n": 3}
    assert data["warm"]["rows"][0]["steps_per_second"]["median"] == 123.457
    assert data["large"]["rows"][1]["step"]["ratios"]["diffusers float32"]["median"] == 3.6
    assert data["large"]["step_flops"] == 1_606_546_882_560
    assert data["cold"]["psnr"] is None  # infinite, which JSON cannot say


def test_who_was_disturbed() -> None:
    assert REPORT.disturbed() == ("warm",)
    assert replace(REPORT, others={"cold": None, "warm": 0.01}).disturbed() == ()


def test_the_best_of_a_precision() -> None:
    peaks = (
        Peak("openvino", "float32", "matmul", Spread(350.0, 340.0, 360.0, 3)),
        Peak("torch", "float32", "convolution", Spread(440.0, 400.0, 450.0, 3)),
        Peak("torch", "bfloat16", "convolution", Spread(860.0, 840.0, 900.0, 3)),
    )
    assert best(peaks, "float32") == 450.0
    assert best(peaks, "int8") == best(peaks, "bfloat16") == 900.0
    assert best(peaks[:2], "int8") == 450.0
    assert best((), "float32") is None
