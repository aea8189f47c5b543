from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from judged import needs_font, write_judge
from sfumato.evaluation.edits import TASKS

pytestmark = needs_font


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    return write_judge(tmp_path)


def test_a_table_and_sheets(sfumato: Any, judge: Path, here: Path) -> None:
    folder = here / "sheets"
    folder.mkdir()
    ran = sfumato(
        *("evaluate-edits", "tiny", "--only", "replace, mix-words", "--scenes", "1", "--steps", "1"),
        *("--judge", judge, "--sheet", folder, "--format", "webp"),
    )
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["TASK", "WHAT", "FIGURE", "95", "%", "INTERVAL", "N", "BESIDE", "RATIO"]
    assert lines[1].startswith("replace    the new object is seen")
    assert any("tiny, torch" in line and "1 steps" in line for line in lines)
    assert lines[-2:] == [f"pictures: {folder / name}" for name in ("replace.webp", "mix-words.webp")]
    assert "replace: the left object" in ran.err
    with Image.open(folder / "mix-words.webp") as sheet:
        assert sheet.format == "WEBP"


def test_the_help_names_every_task(sfumato: Any) -> None:
    text = sfumato("evaluate-edits", "--help").out.replace("│", " ")
    words = {word.strip(".,:") for word in text.split()}
    assert [name for name in TASKS if name not in words] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenes", "0"], "scenes: must be between 1 and 10000 (got 0)"),
        (["--scenes", "all"], "scenes: must be a whole number (got 'all')"),
        (["--only", "repalce"], "Did you mean replace?"),
        (["--sheet", "missing"], "output: the folder does not exist"),
        (["--format", "webp"], "format: there is no sheet"),
        (["--sheet", ".", "--format", "gif"], "format: unknown format"),
        (["--only", "mix", "--judge", "missing.safetensors"], "judge"),
        (["--scene", "3"], "See: sfumato evaluate-edits --help"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, bad: Any) -> None:
    assert said in bad("evaluate-edits", "tiny", *arguments)
