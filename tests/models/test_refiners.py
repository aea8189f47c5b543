"""Refiners: found by name, and checked against the model whose latents they go on with."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from family_models import family_folder
from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.load import FoundModel, find_model
from sfumato.models.refiners import find_refiner
from tiny_families import FAMILIES, write_family, write_original
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


def test_latents_are_those_of_the_networks_not_of_the_autoencoder_alone(
    base: FoundModel, tmp_path: Path
) -> None:
    """A network of EDM works on latents of another standard deviation than its autoencoder makes."""
    said = {"prediction_type": "epsilon", "sigma_min": 0.002, "sigma_max": 80.0}
    for deviation, fits in ((0.5, False), (1.0, True)):
        folder = shutil.copytree(tiny_folder(), tmp_path / f"edm{deviation}")
        config = {"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": deviation, **said}
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
        if fits:
            assert find_refiner(str(folder), base, SETTINGS).defaults.name == folder.name
            continue
        with pytest.raises(RecipeError, match=r"their scaling factor is 1, not 0\.5"):
            find_refiner(str(folder), base, SETTINGS)


def test_a_refiner_in_a_file_brings_its_autoencoder(tmp_path: Path) -> None:
    """Of what --vae names, nothing is the refiner's: the error must not advise it."""
    path, bare = tmp_path / "whole.safetensors", tmp_path / "bare.safetensors"
    write_original(write_family(tmp_path / "sd15", FAMILIES["sd15"]), path, FAMILIES["sd15"])
    tensors = load_file(path)
    save_file({key: one for key, one in tensors.items() if not key.startswith("first_stage_model.")}, bare)
    found = find_model(str(path), SETTINGS)
    assert find_refiner(str(path), found, SETTINGS).defaults.name == "whole"
    with pytest.raises(ModelFileError, match="no autoencoder") as caught:
        find_refiner(str(bare), found, SETTINGS)
    assert caught.value.field == "refiner"
    assert "Give one with --vae" not in str(caught.value.hint)
