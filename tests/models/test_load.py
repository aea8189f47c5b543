"""Finding models by name, and folders whose parts disagree."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from transformers import CLIPTokenizer

from sfumato.errors import InputError, ModelFileError, RecipeError, SfumatoError
from sfumato.models.load import find_model, list_models, load_bundle
from sfumato.models.memory import system_memory
from sfumato.models.tiling import SMALLEST, latents_within
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


def test_only_a_model_or_a_path_is_taken_from_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder.parent / "bundle").mkdir()
    assert find_model("frogs", tiny_settings()).files.folder == Path("frogs")
    with pytest.raises(RecipeError, match=r'unknown model .* Did you mean "bundled"'):
        find_model("bundle", tiny_settings())
    with pytest.raises(ModelFileError, match=r"model_index\.json is missing"):
        find_model("./bundle", tiny_settings())


@pytest.mark.parametrize("name", ["frogs", "./frogs", "/"])
def test_names_alone_open_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(RecipeError, match="unknown model"):
        find_model(name, tiny_settings(), paths=False)
    assert find_model("frogs", tiny_settings(folder.parent), paths=False).files.folder == folder


def test_folders_that_transformers_5_saved_are_read(folder: Path, tmp_path: Path) -> None:
    saved = Path(shutil.copytree(folder, tmp_path / "saved"))
    shutil.rmtree(saved / "tokenizer")
    CLIPTokenizer.from_pretrained(folder / "tokenizer").save_pretrained(saved / "tokenizer")
    assert sorted(path.name for path in (saved / "tokenizer").iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    ours, theirs = (find_model(str(place), tiny_settings()) for place in (folder, saved))
    text = "a Frog's café, two rabbits; 2026 🐸"
    assert list(ours.tokenizer.tokens(text)) == list(theirs.tokenizer.tokens(text))
    assert (ours.tokenizer.start, ours.tokenizer.end) == (theirs.tokenizer.start, theirs.tokenizer.end)
    edit(saved / "tokenizer" / "tokenizer.json", version="1.1")
    assert find_model(str(saved), tiny_settings()).defaults.digest != theirs.defaults.digest
    edit(saved / "tokenizer" / "tokenizer.json", model={"vocab": {"a": 0}})
    with pytest.raises(ModelFileError, match=r"tokenizer\.json makes no tokenizer"):
        find_model(str(saved), tiny_settings())


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


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_memory_bounds_what_is_decoded_at_once(backend: str, folder: Path) -> None:
    settings = replace(tiny_settings(), backend=backend)
    small = load_bundle(str(folder), replace(settings, max_memory=10**6))
    large = load_bundle(str(folder), replace(settings, max_memory=10**9))
    usual = load_bundle(str(folder), settings)
    vae = json.loads((folder / "vae" / "config.json").read_text())
    assert small.max_latents == SMALLEST**2
    assert large.max_latents == latents_within(10**9, vae)
    assert usual.max_latents == latents_within(system_memory() // 2, vae)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("unet/config.json", {"in_channels": 5}, "channels"),
        ("unet/config.json", {"block_out_channels": [24, 48]}, "shape"),
        ("unet/config.json", {"block_out_channels": "many"}, "no usable block_out_channels"),
        ("unet/config.json", {"norm_num_groups": 7}, "does not describe a network"),
        ("unet/config.json", {"layers_per_block": 2}, "lacks"),
        ("vae/config.json", {"block_out_channels": []}, "block_out_channels"),
        ("vae/config.json", {"block_out_channels": [8, 8, "x", 16]}, "block_out_channels"),
        ("vae/config.json", {"block_out_channels": [8, 0, 16, 16]}, "block_out_channels"),
        ("vae/config.json", {"latent_channels": None}, "latent_channels"),
        ("unet/config.json", {"out_channels": 8}, "channels"),
        ("unet/config.json", {"cross_attention_dim": 48}, "attends to 48 numbers, not 32"),
        ("unet/config.json", {"addition_embed_type": "image"}, "more than a text"),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "asks for a pooled text"),
        ("unet/config.json", {"time_cond_proj_dim": "much"}, "time_cond_proj_dim"),
        ("vae/config.json", {"scaling_factor": None}, "scaling_factor"),
        ("vae/config.json", {"scaling_factor": 0}, "scaling_factor"),
        ("vae/config.json", {"scaling_factor": float("inf")}, "scaling_factor"),
        ("vae/config.json", {"shift_factor": "some"}, "shift_factor"),
        ("vae/config.json", {"block_out_channels": [8] * 40}, "block_out_channels"),
        ("text_encoder/config.json", {"hidden_size": 48}, "attends to 32 numbers, not 48"),
        ("text_encoder/config.json", {"intermediate_size": 48}, "shape"),
        ("text_encoder/config.json", {"hidden_size": "x"}, "does not describe a network"),
        ("text_encoder/config.json", {"vocab_size": 100}, "tokens"),
        ("text_encoder/config.json", {"num_hidden_layers": 1}, "unknown to its config.json"),
        (
            "scheduler/scheduler_config.json",
            {"beta_schedule": "nosuch"},
            "scheduler_config.json cannot be used",
        ),
        ("scheduler/scheduler_config.json", {"beta_schedule": "nosuch"}, "beta_schedule"),
        ("scheduler/scheduler_config.json", {"beta_end": "much"}, "scheduler_config.json cannot be used"),
        ("tokenizer/special_tokens_map.json", {"pad_token": "<|nothing|>"}, "pad_token"),
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
    assert str(caught.value.value).startswith(str(folder))


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


def test_digests_of_large_files_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = shutil.copytree(tiny_folder(), tmp_path / "tiny")
    settings = replace(tiny_settings(), data_dir=tmp_path / "data")
    plain = find_model(str(saved), settings).defaults.digest
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr("sfumato.models.load.REMEMBERED", 1)
    assert find_model(str(saved), settings).defaults.digest == plain
    remembered = list((tmp_path / "data" / "digests").iterdir())
    assert len(remembered) == 3
    for path in remembered:
        path.write_text(path.read_text().replace('"whole": "', '"whole": "' + "0" * 8, 1)[:-1])
    assert find_model(str(saved), settings).defaults.digest == plain  # what is damaged is taken again
    weights = saved / "unet" / "diffusion_pytorch_model.safetensors"
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    assert find_model(str(saved), settings).defaults.digest != plain
