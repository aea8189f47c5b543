from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--repeats", "0"], "repeats: must be between 1 and 1000 (got 0)"),
        (["--steps", "x"], "steps: must be a whole number (got 'x')"),
        (["--model", "tny"], "model: unknown model (got 'tny')"),
        (["--model", "tiny", "--sampler", "eulr"], "sampler: unknown sampler (got 'eulr')"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, bad: Any) -> None:
    assert said in bad("bench", *arguments)


@pytest.mark.slow
def test_cold_and_warm(sfumato: Any) -> None:
    ran = sfumato("bench", "--model", "tiny", "--repeats", "1", "--steps", "2", "--json")
    assert ran.code == 0, ran.err
    cold, warm = ran.json["cold_seconds"], ran.json["warm_seconds"]
    assert cold["total"] > cold["import"] > 0
    assert cold["total"] > warm["total"] > warm["steps"] > 0
    assert ran.json["peak_rss_bytes"] > 100e6
