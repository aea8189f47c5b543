"""A grid in a folder: drawn once, gone on with, and never over other things."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from interrupts import ctrl_c_after
from sfumato.cli.crossing import parse_axis
from sfumato.cli.flags import Flags
from sfumato.cli.recipes import read_resolved
from sfumato.cli.sheets import draw_grid_to_folder
from sfumato.engine.crossing import Named
from sfumato.errors import InterruptedRun, OutputError, RecipeError
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from tiny_models import tiny_folder, tiny_settings


def sheet(output: Path | None, *written: str, seed: str | None = "7", **options: Any) -> None:
    settings = tiny_settings()
    axes = [parse_axis(name, text, 1000) for name, text in zip("xyz", written, strict=False)]
    found = find_model(str(tiny_folder()), settings)
    asked = Flags(prompt="a frog", seed=seed)
    draw_grid_to_folder(Recipe(), asked, axes, Named(found, settings), output=output, **options)


def cells(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.png") if path.name != "grid.png")


def test_cells_sheet_and_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet(Path("out"), "steps=1,2", "guidance=1,3,5")
    said = capsys.readouterr()
    assert said.out.split() == ["out/grid.png", "out/index.html"]
    assert "6 pictures, 6 of them to draw" in said.err
    drawn = cells(Path("out"))
    assert len(drawn) == 6
    recipes = [read_resolved(path) for path in drawn]
    assert {(one.steps, one.guidance) for one in recipes} == {(s, g) for s in (1, 2) for g in (1.0, 3.0, 5.0)}
    with Image.open("out/grid.png") as image:
        whole = np.asarray(image)
    with Image.open(drawn[0]) as image:
        one = np.asarray(image)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (64, 64, 3))[:, :, 0]
    corners = np.argwhere((windows[..., 0, 0, :] == one[0, 0]).all(axis=-1))
    assert any(np.array_equal(windows[y, x], one) for y, x in corners)
    assert Path("out/index.html").read_text(encoding="utf-8").count("<img") == 6


def test_what_is_there_is_not_drawn_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet(Path("out"), "steps=1,2", seed=None)
    first = {path.name: path.stat().st_mtime_ns for path in cells(Path("out"))}
    capsys.readouterr()
    sheet(Path("out"), "steps=1,2,3", seed=None, as_json=True)
    said = capsys.readouterr()
    assert "3 pictures, 1 of them to draw" in said.err
    report = json.loads(said.out)
    assert [cell["drawn"] for cell in report["cells"]] == [False, False, True]
    assert {name: (Path("out") / name).stat().st_mtime_ns for name in first} == first
    assert len({cell["recipe"]["seed"] for cell in report["cells"]}) == 1
    sheet(Path("out"), "steps=1,2,3", seed=None)  # nothing left to draw
    assert "0 of them to draw" in capsys.readouterr().err


def test_a_damaged_or_foreign_cell_is_drawn_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet(Path("out"), "steps=1,2")
    first, second = cells(Path("out"))
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(b"no picture")
    capsys.readouterr()
    sheet(Path("out"), "steps=1,2")
    assert "2 of them to draw" in capsys.readouterr().err
    assert first.read_bytes() == whole


def test_without_a_name_the_folder_is_named_after_the_prompt(here: Path) -> None:
    sheet(None, "steps=1,2", seed=None)
    before = cells(Path("grid-a-frog"))
    sheet(None, "steps=1,2", seed=None)
    assert cells(Path("grid-a-frog")) == before
    assert len(before) == 2


def test_ctrl_c_keeps_what_is_finished(here: Path) -> None:
    sheet(Path("out"), "steps=1")  # so that what is interrupted is the drawing, not an import
    with (
        ctrl_c_after(1),
        pytest.raises(InterruptedRun, match=r"1 of 3 pictures are in out; the same"),
    ):
        sheet(Path("out"), "steps=1,900,1000")
    assert len(cells(Path("out"))) == 1
    assert Path("out/index.html").read_text(encoding="utf-8").count("not drawn") == 2
    assert not list(Path("out").glob(".*"))


@pytest.mark.parametrize("record", [None, "{", "[]", '{"version": 2}', "[" * 100_000])
def test_other_folders_are_refused_and_untouched(record: str | None, here: Path) -> None:
    folder = Path("out")
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    if record is not None:
        (folder / "grid.json").write_text(record)
    with pytest.raises(OutputError, match=r"output: this is no folder of a grid .*Name a new folder"):
        sheet(folder, "steps=1,2")
    assert (folder / "letter.txt").read_text() == "dear"
    assert not (folder / "grid.png").exists()


def test_a_record_with_a_strange_seed_is_not_believed(here: Path) -> None:
    Path("out").mkdir()
    Path("out/grid.json").write_text('{"version": 1, "seed": -4}')
    sheet(Path("out"), "steps=1", seed=None)
    assert json.loads(Path("out/grid.json").read_text())["seed"] >= 0


def test_a_spacing_that_the_model_lacks_is_refused_before_the_first_cell(here: Path) -> None:
    with pytest.raises(RecipeError, match="entropy of this model was never measured"):
        sheet(Path("out"), "spacing=trailing,entropic")
    assert cells(Path("out")) == []
