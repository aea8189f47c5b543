"""Weights in several files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.backends.openvino.weights import weights_of
from sfumato.models.backends.torch_weights import read_tensors
from sfumato.models.files import locate
from sfumato.models.load import load_bundle
from sfumato.models.network_files import find_network
from sfumato.models.shards import read_index
from tiny_models import tiny_folder, tiny_settings, write_tiny_model

INDEX = "diffusion_pytorch_model.safetensors.index.json"
PARTS = ("one.safetensors", "two.safetensors")


def cut(folder: Path, name: str = INDEX, **changes: Any) -> Path:
    """Cut the weights in `folder` into two files with an index; `changes` go into its map."""
    whole = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(whole)
    halves = dict(list(state.items())[::2]), dict(list(state.items())[1::2])
    places = {}
    for part, half in zip(PARTS, halves, strict=True):
        save_file(half, folder / part)
        places |= dict.fromkeys(half, part)
    whole.unlink()
    data = {"metadata": {"total_size": 1}, "weight_map": {**places, **changes}}
    (folder / name).write_text(json.dumps(data))
    return folder / name


@pytest.mark.parametrize("name", [INDEX, "diffusion_pytorch_model.safetensors.index.fp16.json"])
def test_a_model_in_parts_is_the_model(name: str, tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "tiny")
    cut(folder / "unet", name)
    files = locate(folder)
    assert len(files.unet.paths) == 2
    assert files.unet.num_bytes == sum((folder / "unet" / part).stat().st_size for part in PARTS)
    expected = load_file(tiny_folder() / "unet" / "diffusion_pytorch_model.safetensors")
    found = read_tensors(files.unet, torch.device("cpu"), torch.float32)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    weights = weights_of(files.unet)
    assert (weights.array("conv_in.weight") == expected["conv_in.weight"].numpy()).all()
    whole, parts = (load_bundle(str(one), tiny_settings()) for one in (tiny_folder(), folder))
    assert parts.digest != whole.digest


def test_a_whole_file_goes_before_an_index(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors.index.json").write_text("left over")
    assert find_network(tmp_path, {}, "w").stored is None


def test_variants_are_found(tmp_path: Path) -> None:
    for name in ("w.non_ema.safetensors", "w.fp16.safetensors", "w.safetensors"):
        save_file({"a": torch.zeros(1)}, tmp_path / name)
        assert find_network(tmp_path, {}, "w").weights.name == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"more": "one.safetensors"}, "one.safetensors lacks more"),
        ({"more": "three.safetensors"}, "three.safetensors is missing"),
        ({"more": "../unet/one.safetensors"}, "no safetensors file in its folder"),
        ({"more": "/etc/passwd"}, "no safetensors file in its folder"),
        ({"more": "pickle.bin"}, "no safetensors file in its folder"),
        ({"more": 3}, "is no index of weights"),
        ({"conv_in.bias": "one.safetensors"}, "one.safetensors lacks conv_in.bias"),
    ],
)
def test_an_index_that_lies_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = tmp_path / "unet"
    folder.mkdir()
    weights = {"conv_in.bias": torch.zeros(1), "b": torch.zeros(1)}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelFileError, match=words) as caught:
        read_index(cut(folder, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": [1]}', "[" * 100_000])
def test_what_is_no_index_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(ModelFileError, match="is no index of weights"):
        read_index(tmp_path / INDEX)
