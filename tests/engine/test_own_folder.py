"""Folders of which nobody loses anything."""

import re
from pathlib import Path

import pytest

from sfumato.engine.own_folder import OwnFolder
from sfumato.errors import OutputError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Part, VariationPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def own(path: Path) -> OwnFolder:
    return OwnFolder(path, "trace", re.compile(r"step-\d+\.png"))


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "step-1.png").write_bytes(b"1")
    (tmp_path / "seed-7").mkdir()
    (tmp_path / "seed-7" / "step-1.png").write_bytes(b"1")
    (tmp_path / "seed-7-8").mkdir()
    own(tmp_path).empty()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    own(tmp_path / "a" / "b").empty()
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("other", ["letter.txt", "step-1.png.txt", "seed-7/letter.txt", "seed-x/step-1.png"])
def test_other_things_are_safe(other: str, tmp_path: Path) -> None:
    (tmp_path / other).parent.mkdir(exist_ok=True)
    (tmp_path / other).write_bytes(b"dear")
    with pytest.raises(OutputError, match=f"trace: this folder holds other things .{other.split('/')[0]}"):
        own(tmp_path).empty()
    own(tmp_path).clear()
    assert (tmp_path / other).read_bytes() == b"dear"


def test_a_link_is_nobodys_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "step-1.png").write_bytes(b"1")
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace" / "seed-7").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="other things"):
        own(tmp_path / "trace").check()


@pytest.mark.parametrize(
    ("parts", "count", "name"),
    [((), 1, ""), ((), 3, "seed-9"), ((VariationPart(strength=0.1, seed=40),), 3, "seed-7-42")],
)
def test_each_picture_has_its_place(parts: tuple[Part, ...], count: int, name: str, tmp_path: Path) -> None:
    resolved = resolve(Recipe(seed=7, count=count, parts=parts), tiny_bundle().defaults)
    assert own(tmp_path).home(resolved, count - 1, count) == tmp_path / name
