import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from judged import write_judge


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    return write_judge(tmp_path, accuracy={"objects": 0.5, "style": 0.75})


def test_a_table_and_a_sheet(sfumato: Any, judge: Path, here: Path) -> None:
    ran = sfumato("evaluate", "tiny", "--scenes", "4", "--steps", "1", "--judge", judge)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    heads = ["WHAT", "ASKED", "SCORE", "95 % INTERVAL", "N", "REAL PICTURES", "AUTOENCODED"]
    assert re.split(r"  +", lines[0].strip()) == heads
    assert any(line.startswith("speed") for line in lines)
    assert lines[-1] == "pictures: evaluation-tiny.png"
    assert "The judge names" in ran.err
    with Image.open(here / "evaluation-tiny.png") as sheet:
        assert sheet.width > 1000


@pytest.mark.parametrize(
    ("arguments", "interval"), [((), 1), (("--fast",), 3), (("--fast", "--cache-interval", "2"), 2)]
)
def test_the_report_says_how_fast_it_drew(
    arguments: tuple[str, ...], interval: int, sfumato: Any, judge: Path, here: Path
) -> None:
    ran = sfumato("evaluate", "tiny", "--scenes", "4", "--steps", "2", "--judge", judge, "--json", *arguments)
    assert ran.code == 0, ran.err
    setup = ran.json["setup"]
    assert (setup["cache_interval"], setup["guidance_start"], setup["guidance_stop"]) == (interval, 0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenes", "3"], "scenes: must be between 4 and 10000 (got 3)"),
        (["--scenes", "all"], "scenes: must be a whole number (got 'all')"),
        (["--guidance", "nan"], "guidance: must be a finite number"),
        (["--cache-interval", "17"], "cache-interval: must be at most 16 (got 17)"),
        (["--output", "missing/sheet.png"], "output: the folder does not exist"),
        (["--judge", "missing.safetensors"], "judge"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, bad: Any) -> None:
    assert said in bad("evaluate", "tiny", *arguments)
