import json
from pathlib import Path

import pytest

from interrupts import ctrl_c_after
from judged import needs_font, write_judge
from sfumato.cli.scoring_edits import score_edits
from sfumato.errors import InterruptedRun
from sfumato.recipe.image import Recipe
from tiny_models import tiny_folder, tiny_settings

RECIPE = Recipe(model=str(tiny_folder()), steps=1, seed=5)

pytestmark = needs_font


def test_json_holds_the_report_and_the_sheets(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score_edits(
        RECIPE,
        tiny_settings(),
        only="replace",
        scenes="2",
        judge=write_judge(tmp_path),
        font=None,
        sheet=here,
        format_=None,
        as_json=True,
    )
    data = json.loads(capsys.readouterr().out)
    assert data["complete"] is True
    assert data["setup"]["model"] == "tiny"
    assert data["sheets"] == [str(here / "replace.png")]
    assert (here / "replace.png").is_file()
    (task,) = data["tasks"]
    assert all({"n", "low", "high"} <= set(one["measure"]) for one in task["figures"])


def test_ctrl_c_tells_what_was_done_until_then(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ctrl_c_after(2), pytest.raises(InterruptedRun, match=r"\d+ of 40000 edits were done"):
        score_edits(
            RECIPE,
            tiny_settings(),
            only="outside",
            scenes="10000",
            judge=None,
            font=None,
            sheet=here,
            format_=None,
            as_json=True,
        )
    data = json.loads(capsys.readouterr().out)
    assert data["complete"] is False
    (task,) = data["tasks"]
    assert 0 < len(task["cases"]) < 40000
    assert (here / "outside.png").is_file()
