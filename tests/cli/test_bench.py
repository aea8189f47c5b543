from typing import Any

import pytest


@pytest.mark.slow
def test_warm_as_json(sfumato: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFUMATO_BACKEND", "openvino")
    ran = sfumato(
        "bench",
        "warm",
        "--model",
        "tiny",
        "--repeats",
        "1",
        "--steps",
        "1",
        "--quick",
        "--json",
        "--precision",
        "f32",
    )
    assert ran.code == 0, ran.err
    assert ran.json["version"] == 1
    assert ran.json["quick"] is True
    names = {row["contestant"] for row in ran.json["warm"]["rows"]}
    assert names == {"sfumato openvino float32", "diffusers float32"}
    assert ran.json["cold"] is None


@pytest.mark.slow
def test_cold_as_a_table(sfumato: Any) -> None:
    ran = sfumato("bench", "cold", "--model", "tiny", "--repeats", "1", "--steps", "1")
    assert ran.code == 0, ran.err
    assert "COLD: 'a frog on a beach', 64x64, 1 steps of ddim" in ran.out
    assert "sfumato draws with torch cpu float32" in ran.out  # as this folder's environment says


def test_bad_input(bad: Any) -> None:
    assert "section: unknown name (got 'hot')" in bad("bench", "hot")
    assert "repeats: must be between 1 and 1000" in bad("bench", "cold", "--repeats", "0")
    assert "steps: must be a whole number" in bad("bench", "cold", "--steps", "few")
    assert "model" in bad("bench", "warm", "--model", "nothing")
    assert "nothing that can be measured" in bad("bench", "warm", "--precision", "int8")
