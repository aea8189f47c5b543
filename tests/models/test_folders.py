import shutil
from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.models.folders import BUNDLED, find_folder, known_folders
from tiny_models import tiny_folder, tiny_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder(), tmp_path / "models" / "frogs"))


def test_the_bundled_model_comes_first_and_cannot_be_replaced(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / BUNDLED)
    known = known_folders(tiny_settings(folder.parent))
    assert list(known) == [BUNDLED, "frogs"]
    assert (known[BUNDLED] / "unet" / "config.json").is_file()
    assert known[BUNDLED] != folder.parent / BUNDLED


def test_names_come_before_paths_and_paths_only_where_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings(folder.parent)
    assert find_folder("frogs", settings) == folder
    assert find_folder(str(folder), tiny_settings()) == folder
    monkeypatch.chdir(folder.parent)
    assert find_folder("frogs", tiny_settings()) == Path("frogs")
    with pytest.raises(RecipeError, match=r'unknown model .* Did you mean "frogs"'):
        find_folder("frog", settings, paths=False)
    with pytest.raises(RecipeError, match=r"unknown model .* Known: bundled\.$"):
        find_folder("./frogs", tiny_settings(), paths=False)
