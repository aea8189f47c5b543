"""A trace on disk: whole, or not there; and nobody else's files are touched."""

import csv
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.engine.events import Picture, StepDone
from sfumato.engine.run import draw
from sfumato.engine.seeing import Watched, watched
from sfumato.engine.trace import Gauge
from sfumato.engine.trace_folder import TraceFolder, own_trace_folder
from sfumato.errors import OutputError
from sfumato.recipe.image import Recipe, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def trace(folder: Path, stop_after: int | None = None, **fields: Any) -> list[Any]:
    bundle = tiny_bundle()
    recipe = Recipe(seed=7, parts=(TextPart(prompt="a frog"),), **{"steps": 3, **fields})
    resolved = resolve(recipe, bundle.defaults)
    seen: list[Any] = []
    with closing(watched(draw(resolved, bundle), bundle, [TraceFolder(folder)])) as events:
        for event in events:
            seen.append(event)
            if stop_after is not None and sum(isinstance(one, StepDone) for one in seen) == stop_after:
                break
    return seen


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_every_step_has_two_pictures_and_a_row(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "trace"
    events = trace(folder)
    steps = [f"step-{step:03d}-{kind}.png" for step in (1, 2, 3) for kind in ("noisy", "x0")]
    whole = ["final.png", "index.html", "step-000-noisy.png", *steps, "trace.csv", "trace.json"]
    assert names(folder) == whole
    assert [event.path for event in events if isinstance(event, Watched)] == [folder / "index.html"]
    (drawn,) = [event.pixels for event in events if isinstance(event, Picture)]
    assert np.array_equal(pixels(folder / "final.png"), drawn)
    assert pixels(folder / "step-002-x0.png").shape == (64, 64, 3)
    # The last step leaves nothing but its prediction.
    assert np.array_equal(pixels(folder / "step-003-noisy.png"), pixels(folder / "step-003-x0.png"))
    rows = list(csv.DictReader((folder / "trace.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    document = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
    assert document["recipe"]["seed"] == 7
    assert len(document["steps"]) == 3
    assert "data:image/webp" in (folder / "index.html").read_text(encoding="utf-8")


def test_several_pictures_have_a_folder_each(tmp_path: Path) -> None:
    events = trace(tmp_path, count=2)
    assert names(tmp_path) == ["seed-7", "seed-8"]
    pages = [event.path for event in events if isinstance(event, Watched)]
    assert pages == [tmp_path / "seed-7" / "index.html", tmp_path / "seed-8" / "index.html"]
    assert json.loads((tmp_path / "seed-8" / "trace.json").read_text())["recipe"]["index"] == 1
    own_trace_folder(tmp_path).check()


def test_many_steps_share_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.engine.trace_folder.MOST_ON_PAGE", 2)
    trace(tmp_path, steps=5)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    data = json.loads(page.split('id="trace">')[1].split("</script>")[0])
    assert (data["count"], data["pictured"]) == (5, [0, 3, 4])
    assert len(list(tmp_path.glob("step-*-x0.png"))) == 5


@pytest.mark.parametrize(("guidance", "known"), [(3.0, 1.25), (0.0, None)])
def test_what_the_gauge_read_is_in_the_rows(guidance: float, known: float | None, tmp_path: Path) -> None:
    bundle = tiny_bundle()
    recipe = Recipe(seed=7, parts=(TextPart(prompt="a frog"),), steps=1, guidance=guidance)
    gauge = Gauge({bundle.schedule.sigma_max: (1.25,)})  # as if the plan had it
    events = draw(resolve(recipe, bundle.defaults), bundle)
    list(watched(events, bundle, [TraceFolder(tmp_path, gauge)]))
    (row,) = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["steps"]
    assert row["inflation"] == known


def test_an_earlier_trace_is_replaced(tmp_path: Path) -> None:
    trace(tmp_path, steps=5, count=2)
    trace(tmp_path, steps=2)
    assert "seed-7" not in names(tmp_path)
    assert "step-002-x0.png" in names(tmp_path)
    assert "step-003-x0.png" not in names(tmp_path)


def test_an_interrupted_trace_leaves_an_empty_folder(tmp_path: Path) -> None:
    trace(tmp_path, stop_after=2)
    assert names(tmp_path) == []


def letter(folder: Path) -> None:
    (folder / "letter.txt").write_text("dear")


def other_folder(folder: Path) -> None:
    (folder / "seed-7").mkdir()
    (folder / "seed-7" / "letter.txt").write_text("dear")


def folder_of_that_name(folder: Path) -> None:
    (folder / "trace.json").mkdir()


def link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "seed-7").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("put", [letter, other_folder, folder_of_that_name, link])
def test_a_folder_of_other_things_is_refused_before_anything_is_drawn(
    put: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "trace"
    folder.mkdir()
    put(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(OutputError, match=r"trace: this folder holds other things .*Name a new folder"):
        own_trace_folder(folder).check()
    with pytest.raises(OutputError, match="holds other things"):
        trace(folder)
    assert sorted(folder.rglob("*")) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("x")
    with pytest.raises(OutputError, match="this is no folder"):
        own_trace_folder(tmp_path / "trace").check()
    with pytest.raises(OutputError, match="this is no folder"):
        own_trace_folder(tmp_path / "trace" / "inside").check()
    with pytest.raises(OutputError, match=r"trace: cannot be used: .*too long"):
        own_trace_folder(tmp_path / ("x" * 300)).check()
    own_trace_folder(tmp_path / "none").check()
