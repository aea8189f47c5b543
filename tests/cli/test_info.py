from pathlib import Path
from typing import Any

import pytest

from sfumato.samplers.solvers import SOLVERS
from sfumato.samplers.spacings import SPACINGS


def test_samplers_and_spacings_are_listed(sfumato: Any) -> None:
    first_words = [line.split()[0] for line in sfumato("samplers").out.splitlines() if line]
    assert first_words == ["SAMPLER", *SOLVERS, "SPACING", *SPACINGS]
    data = sfumato("samplers", "--json").json
    assert [row["name"] for row in data["samplers"]] == list(SOLVERS)
    assert [row["name"] for row in data["spacings"]] == list(SPACINGS)


def test_orders_are_measured(sfumato: Any) -> None:
    rows = {line.split()[0]: line.split()[1:3] for line in sfumato("samplers", "--orders").out.splitlines()}
    assert list(rows) == ["SAMPLER", *SOLVERS]
    for name, (expected, measured) in rows.items():
        if name not in ("SAMPLER", "lcm"):
            assert float(measured) > float(expected) - 0.3, name


def test_doctor_says_what_will_draw_or_why_not(sfumato: Any, here: Path) -> None:
    ran = sfumato("doctor", "--json")
    assert ran.code == (0 if ran.json["problem"] is None else 1)
    assert ran.json["libraries"]["torch"]
    assert ran.json["settings"]["device"] == "cpu"
    text = sfumato("doctor").out
    assert text.startswith("sfumato ")
    assert ("draws with" in text) is (ran.code == 0)
    assert list(here.iterdir()) == []


def test_settings_that_make_no_sense_are_one_line(bad: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFUMATO_DEVICE", "cdua")
    for command in ("models", "doctor", "bench"):
        assert "SFUMATO_DEVICE: unknown name (got 'cdua'). Did you mean cuda?" in bad(command)
