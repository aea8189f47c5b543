"""Refiners: found by name, and checked against the model whose latents they go on with."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from family_models import family_folder
from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.load import FoundModel, find_model
from sfumato.models.refiners import find_refiner
from tiny_models import tiny_folder, tiny_settings

SETTINGS = tiny_settings()


@pytest.fixture
def base() -> FoundModel:
    return find_model(str(tiny_folder()), SETTINGS)


def copied(tmp_path: Path, name: str, network: str = "vae", **says: Any) -> Path:
    """Return a copy of the tiny model of which the configuration of a network says something else."""
    folder = shutil.copytree(tiny_folder(), tmp_path / name)
    path = folder / network / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **says}))
    return folder


def test_any_model_of_the_same_latents_refines(base: FoundModel, tmp_path: Path) -> None:
    for folder in (copied(tmp_path, "same"), family_folder("sdxl-refiner"), family_folder("sd-inpaint")):
        assert find_refiner(str(folder), base, SETTINGS).defaults.name == folder.name


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"scaling_factor": 0.13025}, "their scaling factor is 0.13025, not 0.5"),
        ({"shift_factor": 0.1}, "their shift is 0.1, not 0"),
        (
            {"latents_mean": [0.0, 1.0, 2.0, 3.0], "latents_std": [1.0, 2.0, 4.0, 8.0]},
            "their scaling factor is 0.5, 0.25, 0.125, 0.0625, not 0.5",
        ),
    ],
)
def test_other_latents_are_refused(base: FoundModel, tmp_path: Path, said: dict[str, Any], line: str) -> None:
    folder = copied(tmp_path, "other", **said)
    with pytest.raises(RecipeError) as caught:
        find_refiner(str(folder), base, SETTINGS)
    assert str(caught.value).startswith(f"refiner: works on other latents than tiny: {line} (got 'other')")


def test_models_that_need_a_picture_neither_refine_nor_are_refined(base: FoundModel, tmp_path: Path) -> None:
    for folder, line in (
        (family_folder("x4-upscaler"), "x4-upscaler makes small pictures larger"),
        (copied(tmp_path, "told", "unet", in_channels=8), "told is edited by instructions"),
    ):
        with pytest.raises(RecipeError, match=line):
            find_refiner(str(folder), base, SETTINGS)
        with pytest.raises(RecipeError, match=line):
            find_refiner(str(tiny_folder()), find_model(str(folder), SETTINGS), SETTINGS)


def test_a_name_that_is_not_known_is_the_refiners(base: FoundModel, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        find_refiner("nowhere", base, SETTINGS)
    assert (caught.value.field, caught.value.value) == ("refiner", "nowhere")
    with pytest.raises(ModelFileError):
        find_refiner(str(tmp_path), base, SETTINGS)


def test_what_came_out_of_a_picture_opens_no_path(base: FoundModel, tmp_path: Path) -> None:
    folder = copied(tmp_path / "elsewhere", "other")
    with pytest.raises(RecipeError, match="refiner: "):
        find_refiner(str(folder), base, SETTINGS, paths=False)
    assert find_refiner("other", base, tiny_settings(folder.parent), paths=False).files.folder == folder
