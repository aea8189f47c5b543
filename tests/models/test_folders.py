import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.models.folders import BUNDLED, find_folder, is_known, known_folders
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


def test_single_files_are_called_by_their_stem(tmp_path: Path) -> None:
    file = tmp_path / "models" / "Stable-diffusion" / "xl" / "größer.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    (tmp_path / "models" / "Lora").mkdir()
    (tmp_path / "models" / "Lora" / "ink.safetensors").write_bytes(b"")
    settings = tiny_settings(tmp_path)
    assert list(known_folders(settings)) == [BUNDLED, "größer"]
    assert find_folder("größer", settings, paths=False) == file
    assert find_folder(unicodedata.normalize("NFD", "größer"), settings, paths=False) == file
    assert find_folder(str(file), tiny_settings()) == file
    with pytest.raises(RecipeError, match="unknown model"):
        find_folder(str(file), tiny_settings(), paths=False)
    with pytest.raises(RecipeError, match="unknown model"):
        find_folder("ink", settings)


@pytest.mark.parametrize(
    "name",
    [
        "../frogs",
        "/etc/passwd",
        "a/../../frogs",
        "..",
        "~",
        "a\0b",
        "x" * 300,
        "蛙" * 300,
        "",
        " ",
        "\ud800",
        "CON",
    ],
)
def test_names_from_elsewhere_lead_nowhere(name: str, folder: Path) -> None:
    with pytest.raises(RecipeError, match="unknown model") as caught:
        find_folder(name, tiny_settings(folder.parent / "deeper"), paths=False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "x" * 5000, "蛙" * 300, "\ud800", "~nobody-here/a"])
def test_paths_that_no_file_system_takes_are_unknown(name: str) -> None:
    with pytest.raises(RecipeError, match="unknown model"):
        find_folder(name, tiny_settings())


def test_a_model_that_is_there_and_has_no_name_says_why(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "old.ckpt").write_bytes(b"\x80\x04}.")
    (outside / "secret.safetensors").write_bytes(b"")
    (root / "secret.safetensors").symlink_to(outside / "secret.safetensors")
    for name, words in (("old", "this model is a pickle"), ("secret", "leaves the folders of models")):
        with pytest.raises(RecipeError, match=words):
            find_folder(name, tiny_settings(root), paths=False)


def test_the_bundled_model_is_found_without_a_look_at_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(*_: object) -> None:
        raise AssertionError("somebody looked into a folder")

    monkeypatch.setattr(os, "scandir", looked)
    assert find_folder(BUNDLED, tiny_settings(tmp_path)).is_dir()
    assert is_known(BUNDLED, tiny_settings(tmp_path))


def test_an_autoencoder_beside_a_model_is_no_model(tmp_path: Path) -> None:
    root = tmp_path / "models"
    root.mkdir()
    for name in ("frog", "frog.vae"):
        (root / f"{name}.safetensors").write_bytes(b"x")
    assert list(known_folders(tiny_settings(root))) == [BUNDLED, "frog"]
