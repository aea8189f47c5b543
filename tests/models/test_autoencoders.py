"""Autoencoders that are brought along; what is read from them is in `test_converting`."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.autoencoders import find_vae
from sfumato.models.converting import vae_to
from tiny_families import FAMILIES, write_family
from tiny_models import tiny_folder


def test_that_of_a_folder_is_found() -> None:
    whole, alone = find_vae(tiny_folder()), find_vae(tiny_folder() / "vae")
    assert whole.weights == alone.weights
    assert (whole.name, alone.name, alone.class_name) == ("vae", "vae", "AutoencoderKL")
    assert alone.config["scaling_factor"] == 0.5


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    with pytest.raises(ModelFileError, match=r"no autoencoder.*It names 'UNet2DConditionModel'"):
        find_vae(tmp_path / "unet")
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="no autoencoder among its 2 tensors, the first a, b"):
        find_vae(tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="is missing"):
        find_vae(tmp_path / "none.safetensors")
    (tmp_path / "vae.pt").write_bytes(b"\x80\x02")
    with pytest.raises(ModelFileError, match=r"vae\.pt is a pickle"):
        find_vae(tmp_path / "vae.pt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scaling_factor", "x"),
        ("scaling_factor", [1]),
        ("shift_factor", "x"),
        ("block_out_channels", 3),
        ("layers_per_block", 10**9),
        ("latent_channels", "4"),
    ],
)
def test_a_configuration_that_nothing_can_be_counted_with_is_refused(
    tmp_path: Path, key: str, value: object
) -> None:
    folder = shutil.copytree(tiny_folder() / "vae", tmp_path / "vae")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(ModelFileError, match=f"vae/config.json holds no usable {key}"):
        find_vae(folder)
    (folder / "config.json").write_text(json.dumps({**config, "shift_factor": None}))
    assert find_vae(folder).name == "vae"


def test_an_original_one_with_strangers_is_refused(tmp_path: Path) -> None:

    folder = write_family(tmp_path / "a", FAMILIES["tiny-sd"])
    path = vae_to(find_vae(folder / "vae"), tmp_path / "b.safetensors").path

    state = load_file(path)
    save_file({**state, "loss.logvar": torch.zeros(1), "model_ema.decay": torch.zeros(1)}, path)
    assert find_vae(path).config["latent_channels"] == 4
    save_file({**state, "encoder.extra": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match=r"1 tensors beside the autoencoder's, the first encoder\.extra"):
        find_vae(path)
