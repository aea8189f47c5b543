"""Maps on disk: whole, or not there; and nobody else's files are touched."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.engine.attention import WordMap, attention_recorder
from sfumato.engine.attention_folder import AttentionFolder, attention_folder, facts, slug
from sfumato.engine.events import StepDone
from sfumato.engine.run import draw
from sfumato.engine.seeing import Watched, watched
from sfumato.errors import OutputError
from sfumato.recipe.image import Recipe, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def maps(folder: Path, *, prompt: str = "a frog", stop: bool = False, **fields: Any) -> list[Path]:
    bundle = tiny_bundle()
    recipe = Recipe(seed=7, parts=(TextPart(prompt=prompt),), **{"steps": 2, **fields})
    resolved = resolve(recipe, bundle.defaults)
    recorder = attention_recorder(resolved, bundle)
    drawing = draw(resolved, bundle, attending=recorder)
    paths: list[Path] = []
    with closing(watched(drawing, bundle, [AttentionFolder(folder, recorder)])) as events:
        for event in events:
            if isinstance(event, Watched):
                paths.append(event.path)
            if stop and isinstance(event, StepDone):
                break
    return paths


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_word_has_an_overlay_and_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "maps"
    assert maps(folder) == [folder / "attention.png"]
    overlays = ["word-01-a.png", "word-02-frog.png"]
    assert names(folder) == ["attention.json", "attention.png", *overlays]
    with Image.open(folder / "word-02-frog.png") as image:
        assert image.size == (64, 64)
    with Image.open(folder / "attention.png") as image:
        assert image.size == (2 * 72 + 8, 2 * 92 + 8)
    document = json.loads((folder / "attention.json").read_text(encoding="utf-8"))
    assert document["recipe"]["seed"] == 7
    assert document["backend"] == "torch cpu float32"
    assert [one["file"] for one in document["words"]] == overlays
    assert sum(one["share"] for one in document["words"]) == pytest.approx(1, abs=1e-4)


def test_several_pictures_have_a_folder_each(tmp_path: Path) -> None:
    assert maps(tmp_path, count=2) == [tmp_path / name / "attention.png" for name in ("seed-7", "seed-8")]
    grids = [(tmp_path / name / "attention.png").read_bytes() for name in names(tmp_path)]
    assert grids[0] != grids[1]
    attention_folder(tmp_path).check()


def test_earlier_maps_are_replaced(tmp_path: Path) -> None:
    maps(tmp_path, count=2)
    maps(tmp_path, prompt="a rabbit")
    assert "seed-7" not in names(tmp_path)
    maps(tmp_path)
    assert "word-02-rabbit.png" not in names(tmp_path)


def test_an_interrupted_run_leaves_an_empty_folder(tmp_path: Path) -> None:
    maps(tmp_path, stop=True)
    assert names(tmp_path) == []


def letter(folder: Path) -> None:
    (folder / "letter.txt").write_text("dear")


def other_picture(folder: Path) -> None:
    (folder / "word-01-Frog.png").write_text("dear")


def other_folder(folder: Path) -> None:
    (folder / "seed-7").mkdir()
    (folder / "seed-7" / "letter.txt").write_text("dear")


def folder_of_that_name(folder: Path) -> None:
    (folder / "attention.json").mkdir()


def link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "seed-7").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("put", [letter, other_picture, other_folder, folder_of_that_name, link])
def test_a_folder_of_other_things_is_refused(put: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    put(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(OutputError, match=r"attention: this folder holds other things .*Name a new folder"):
        attention_folder(folder).check()
    with pytest.raises(OutputError, match="holds other things"):
        maps(folder)
    assert sorted(folder.rglob("*")) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("x")
    with pytest.raises(OutputError, match="attention: this is no folder"):
        attention_folder(tmp_path / "maps").check()
    with pytest.raises(OutputError, match=r"attention: cannot be used: .*too long"):
        attention_folder(tmp_path / ("x" * 300)).check()
    attention_folder(tmp_path / "none").check()


def test_facts_say_where_and_how_much() -> None:
    heat = np.zeros((4, 8), np.float32)
    heat[1, 6] = 0.25
    sharp = facts(WordMap("frog", heat))
    assert sharp == {"word": "frog", "share": 0.25, "peak": [6.5 / 8, 1.5 / 4], "half_area": 0.0156}
    assert facts(WordMap("a", np.full((4, 8), 0.01, np.float32)))["half_area"] == 0.5


@pytest.mark.parametrize(
    ("word", "expected"),
    [("frog", "frog"), ("../../etc", "etc"), ("日本", "word"), ("don't", "don-t"), ("x" * 999, "x" * 40)],
)
def test_a_slug_is_a_harmless_name(word: str, expected: str) -> None:
    assert slug(word) == expected
