"""Finding models by name, their defaults, and folders whose parts disagree."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from sfumato.errors import InputError, ModelFileError, RecipeError, SfumatoError
from sfumato.models.load import find_model, list_models, load_bundle
from sfumato.settings import Settings
from tiny_models import tiny_bundle, tiny_folder, tiny_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder(), tmp_path / "models" / "frogs"))


def edit(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


def test_models_are_found_by_name_and_by_path(folder: Path) -> None:
    settings = tiny_settings(folder.parent)
    assert find_model("frogs", settings).files.folder == folder
    assert find_model(str(folder), tiny_settings()).defaults.name == "frogs"


def test_an_unknown_name_suggests_the_nearest(folder: Path) -> None:
    with pytest.raises(RecipeError, match='Did you mean "frogs"') as caught:
        load_bundle("frog", tiny_settings(folder.parent))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["", "\x00", "a" * 5000, "no/such/folder", "~nobody/x", "\ud800"])
def test_odd_names_are_unknown_models(name: str) -> None:
    with pytest.raises(SfumatoError) as caught:
        find_model(name, tiny_settings())
    assert isinstance(caught.value, RecipeError | ModelFileError)
    assert "\n" not in str(caught.value)


def test_models_are_listed_with_what_is_wrong(folder: Path) -> None:
    broken = Path(shutil.copytree(folder, folder.parent / "broken"))
    (broken / "unet" / "config.json").unlink()
    listed = {model.name: model for model in list_models(tiny_settings(folder.parent))}
    assert next(iter(listed)) == "bundled"
    assert (listed["frogs"].width, listed["frogs"].height, listed["frogs"].problem) == (64, 64, None)
    assert listed["frogs"].num_bytes > 100_000
    assert "unet/config.json is missing" in str(listed["broken"].problem)


def test_defaults_come_from_the_folder(folder: Path) -> None:
    defaults = find_model(str(folder), tiny_settings()).defaults
    assert (defaults.width, defaults.height, defaults.multiple) == (64, 64, 8)
    assert (defaults.steps, defaults.sampler, defaults.guidance) == (4, "ddim", 3.0)
    assert "dpmpp_2m" in defaults.samplers
    (folder / "sfumato.json").unlink()
    plain = find_model(str(folder), tiny_settings()).defaults
    assert (plain.steps, plain.sampler, plain.guidance_rescale) == (20, "dpmpp_2m", 0.7)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": "20"},
        {"steps": True},
        {"guidance": -1},
        {"guidance": float("nan")},
        {"sampler": "nosuch"},
        {"spacing": 3},
    ],
)
def test_defaults_that_make_no_sense_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder / "sfumato.json", **changes)
    with pytest.raises(ModelFileError, match=r"sfumato\.json"):
        find_model(str(folder), tiny_settings())


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("unet/config.json", {"in_channels": 9}, "channels"),
        ("unet/config.json", {"block_out_channels": [24, 48]}, "shape"),
        ("unet/config.json", {"block_out_channels": "many"}, "does not describe a network"),
        ("unet/config.json", {"norm_num_groups": 7}, "does not describe a network"),
        ("unet/config.json", {"layers_per_block": 2}, "lacks"),
        ("vae/config.json", {"block_out_channels": []}, "block_out_channels"),
        ("vae/config.json", {"latent_channels": None}, "latent_channels"),
        ("text_encoder/config.json", {"hidden_size": 48}, "shape"),
        ("text_encoder/config.json", {"hidden_size": "x"}, "does not describe a network"),
        ("text_encoder/config.json", {"vocab_size": 100}, "tokens"),
        ("text_encoder/config.json", {"num_hidden_layers": 1}, "unknown to its config.json"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "nosuch"}, "beta_schedule"),
        ("tokenizer/tokenizer_config.json", {"pad_token": "<|nothing|>"}, "pad_token"),
        ("tokenizer/tokenizer_config.json", {"model_max_length": 2}, "model_max_length"),
    ],
)
def test_parts_that_disagree_are_one_clear_line(
    folder: Path, name: str, changes: dict[str, Any], words: str
) -> None:
    edit(folder / name, **changes)
    with pytest.raises(ModelFileError) as caught:
        load_bundle(str(folder), tiny_settings())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_a_wrong_shape_name_the_tensor(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_in.weight"] = weights["conv_in.weight"][:, :3].copy()
    save_file(weights, path)
    with pytest.raises(ModelFileError, match=r"conv_in\.weight with shape \(16, 3, 3, 3\)"):
        load_bundle(str(folder), tiny_settings())


def test_broken_byte_pairs_are_refused(folder: Path) -> None:
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\nzz qq\n")
    with pytest.raises(ModelFileError, match="make no tokenizer"):
        find_model(str(folder), tiny_settings())


def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    settings = Settings(data_dir=folder, device="cuda:99")
    with pytest.raises(InputError, match="no such device"):
        load_bundle(str(folder), settings)


def test_loading_is_quick() -> None:
    assert tiny_bundle().seconds["load"] < 5
