import json
from pathlib import Path

import pytest

from interrupts import ctrl_c_after
from judged import write_judge
from sfumato.cli.scoring import score
from sfumato.errors import InterruptedRun
from sfumato.recipe.image import Recipe
from tiny_models import tiny_folder, tiny_settings

RECIPE = Recipe(model=str(tiny_folder()), steps=1, seed=5)


def test_json_holds_the_report_and_the_sheet(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge, sheet = write_judge(tmp_path, accuracy={}), here / "sheet.webp"
    score(RECIPE, tiny_settings(), scenes="4", judge=judge, font=None, output=sheet, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["sheet"] == str(sheet)
    assert report["setup"]["model"] == "tiny"
    assert all({"n", "low", "high"} <= set(one["share"]) for one in report["scores"])
    assert sheet.is_file()


def test_ctrl_c_writes_nothing(here: Path, tmp_path: Path) -> None:
    judge = write_judge(tmp_path, accuracy={})
    with ctrl_c_after(1), pytest.raises(InterruptedRun, match="nothing was written"):
        score(
            RECIPE.model_copy(update={"steps": 1000}),
            tiny_settings(),
            scenes="10000",
            judge=judge,
            font=None,
            output=None,
            as_json=False,
        )
    assert list(here.iterdir()) == []
