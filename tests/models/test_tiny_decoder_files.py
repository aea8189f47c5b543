"""Decoders for previews in model folders: found, or refused where they do not fit."""

import json
import shutil
from pathlib import Path

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from tiny_models import tiny_folder, write_tiny_decoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))


def test_a_folder_without_a_tiny_decoder_has_none() -> None:
    assert locate(tiny_folder()).tiny_decoder is None


@pytest.mark.parametrize("name", ["tiny_decoder", "taesd"])
def test_a_tiny_decoder_beside_the_networks_is_found_and_decides_nothing(folder: Path, name: str) -> None:
    digest = locate(folder).digest()
    write_tiny_decoder(folder / name)
    files = locate(folder)
    assert files.tiny_decoder is not None
    assert files.tiny_decoder.weights == folder / name / "diffusion_pytorch_model.safetensors"
    assert files.digest() == digest


def test_our_own_tiny_decoder_comes_before_another(folder: Path) -> None:
    write_tiny_decoder(folder / "taesd")
    write_tiny_decoder(folder / "tiny_decoder")
    tiny = locate(folder).tiny_decoder
    assert tiny is not None
    assert tiny.name == "tiny_decoder"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "AutoencoderKL"}, "does not name AutoencoderTiny"),
        ({"latent_channels": 8}, "takes latents of 8 channels, and vae/config.json has 4"),
        ({"num_decoder_blocks": [1, 1]}, "no usable num_decoder_blocks"),
        ({"num_decoder_blocks": [1] * 3, "decoder_block_out_channels": [8] * 3}, "has 3 levels"),
        ({"num_decoder_blocks": [1, True, 1, 1]}, "no usable num_decoder_blocks"),
        ({"decoder_block_out_channels": "8888"}, "no usable num_decoder_blocks"),
        ({"decoder_block_out_channels": [8, 8, 8, 16]}, "decoder_block_out_channels that differ"),
        ({"upsampling_scaling_factor": 3}, "doubles the size at every level"),
        ({"out_channels": 4}, "colour pictures"),
        ({"act_fn": "gelu"}, "asks for 'gelu'"),
        ({"scaling_factor": 0}, "no usable scaling_factor (0)"),
        ({"shift_factor": "1"}, "no usable shift_factor ('1')"),
        ({"shift_factor": True}, "no usable shift_factor (True)"),
    ],
)
def test_a_tiny_decoder_that_does_not_fit_is_refused(
    folder: Path, changes: dict[str, object], words: str
) -> None:
    config = write_tiny_decoder(folder / "taesd") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    with pytest.raises(ModelFileError) as caught:
        locate(folder)
    line = str(caught.value)
    assert words in line
    assert line.startswith("model: taesd/config.json ")
    assert "previews do without one" in line


def test_half_a_tiny_decoder_is_reported(folder: Path) -> None:
    write_tiny_decoder(folder / "taesd")
    (folder / "taesd" / "config.json").unlink()
    with pytest.raises(ModelFileError, match=r"taesd/config.json is missing"):
        locate(folder)
