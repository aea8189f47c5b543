"""The files of one network: its weights under every name, its configuration, and what is refused."""

import shutil
from pathlib import Path

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from sfumato.models.network_files import find_network, find_weights, read_json
from tiny_models import tiny_folder

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))


def test_half_precision_variants_are_found(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert locate(folder).unet.weights.name == "diffusion_pytorch_model.fp16.safetensors"


def test_a_huge_configuration_is_not_read(folder: Path) -> None:
    with (folder / "unet" / "config.json").open("r+b") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(ModelFileError, match="too large"):
        read_json(folder, "unet/config.json")


def test_a_pickle_is_named_and_never_opened(folder: Path) -> None:
    (folder / UNET).unlink()
    pickle = folder / "unet" / "diffusion_pytorch_model.bin"
    pickle.write_bytes(b"\x80\x04}.")
    with pytest.raises(ModelFileError, match=r"diffusion_pytorch_model.bin is a pickle") as caught:
        find_weights(folder / "unet", "diffusion_pytorch_model")
    assert caught.value.value == str(pickle)


def test_a_network_tells_its_files_and_bytes(folder: Path) -> None:
    one = find_network(folder / "unet", read_json(folder, "unet/config.json"), "diffusion_pytorch_model")
    assert one.paths == (folder / UNET,)
    assert one.num_bytes == (folder / UNET).stat().st_size
    assert one.described == folder / "unet" / "config.json"
