"""Decoders for previews in model folders: found, or refused where they do not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from sfumato.models.load import find_model, load_bundle
from sfumato.models.tiny_decoder import load_tiny_decoder
from sfumato.models.tiny_decoder_files import published_tiny_decoder, read_tiny_decoder
from sfumato.settings import Settings
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


def random_tiny(blocks: tuple[int, ...] = (3, 3, 3, 1), width: int = 8) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return AutoencoderTiny(
            encoder_block_out_channels=(width,) * len(blocks),
            decoder_block_out_channels=(width,) * len(blocks),
            num_encoder_blocks=(1,) * len(blocks),
            num_decoder_blocks=blocks,
        )


def write_original(tiny: Any, path: Path) -> Path:
    """Write a decoder as it was published: its layers are numbered, and a clamp comes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for key, tensor in tiny.decoder.state_dict().items():
        _, number, *rest = key.split(".")
        tensors[".".join([str(int(number) + 1), *rest])] = tensor.contiguous()
    save_file(tensors, path)
    return path


SD, XL = {"scaling_factor": 0.18215}, {"scaling_factor": 0.13025}
VAE = {"latent_channels": 4, "block_out_channels": [8] * 4}


@pytest.mark.parametrize("blocks", [(3, 3, 3, 1), (1, 2, 0, 1)])
def test_published_layers_decode_as_in_diffusers(blocks: tuple[int, ...], tmp_path: Path) -> None:
    theirs = random_tiny(blocks)
    files = read_tiny_decoder(write_original(theirs, tmp_path / "taesd_decoder.safetensors"))
    assert files.config["num_decoder_blocks"] == list(blocks)
    ours = load_tiny_decoder(files, torch.device("cpu"), torch.float32)
    z = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 4, 6, 5))).float()
    with torch.no_grad():
        assert torch.allclose(ours(z), theirs.decode(z).sample, atol=1e-6)


def test_a_whole_file_of_diffusers_is_read_as_well(tmp_path: Path) -> None:
    theirs = random_tiny()
    save_file(dict(theirs.state_dict()), tmp_path / "taesd.safetensors")
    ours = load_tiny_decoder(
        read_tiny_decoder(tmp_path / "taesd.safetensors"), torch.device("cpu"), torch.float32
    )
    z = torch.ones(1, 4, 2, 2)
    with torch.no_grad():
        assert torch.allclose(ours(z), theirs.decode(z).sample, atol=1e-6)


@pytest.mark.parametrize(
    "place", ["models/VAE-approx", "models/VAE-taesd", "vae_approx", "models/vae_approx", "VAE", "."]
)
def test_that_of_the_family_is_found_in_folders_of_other_programs(place: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(tmp_path / "webui",))
    folder = tmp_path / "webui" / place
    for name in ("taesd_decoder", "taesdxl_decoder", "taef1_decoder"):
        write_original(random_tiny(), folder / f"{name}.safetensors")
    model = tmp_path / "elsewhere" / "model.safetensors"
    first, second = (published_tiny_decoder(model, {**VAE, **one}, settings) for one in (SD, XL))
    assert first is not None
    assert second is not None
    assert (first.weights.stem, second.weights.stem) == ("taesd_decoder", "taesdxl_decoder")


def test_latents_of_another_autoencoder_have_none(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(tmp_path,))
    for name in ("taesd_decoder", "taesdxl_decoder"):
        write_original(random_tiny(), tmp_path / f"{name}.safetensors")
    for config in ({"scaling_factor": 0.5}, {**XL, "latents_mean": [0.0] * 4}, {"scaling_factor": []}):
        assert published_tiny_decoder(tmp_path / "m.safetensors", {**VAE, **config}, settings) is None


def test_one_beside_the_model_comes_first_and_may_be_a_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(tmp_path / "models",))
    write_original(random_tiny(), tmp_path / "models" / "VAE" / "taesd_decoder.safetensors")
    write_tiny_decoder(tmp_path / "own" / "taesd")
    tiny = published_tiny_decoder(tmp_path / "own" / "model.safetensors", {**VAE, **SD}, settings)
    assert tiny is not None
    assert tiny.weights.parent == tmp_path / "own" / "taesd"


def test_what_is_no_decoder_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(tmp_path / "models",))
    path = write_original(random_tiny(), tmp_path / "taesd_decoder.safetensors")
    tensors = load_file(path)
    for damage, words in (
        ({"encoder.1.weight": torch.zeros(1)}, "its layers have other names"),
        ({"1.weight": torch.zeros(8)}, "it has no first layer"),
        ({"19.weight": torch.zeros(8, 8, 3, 3)}, "do not end in a picture"),
        ({"1.weight": torch.zeros(8, 16, 3, 3)}, "takes latents of 16 channels"),
    ):
        save_file({**tensors, **damage}, path)
        with pytest.raises(ModelFileError, match=words):
            published_tiny_decoder(tmp_path / "model.safetensors", {**VAE, **SD}, settings)


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(tmp_path / "models",))
    path = write_original(random_tiny(), tmp_path / "out" / "taesd_decoder.safetensors")
    (tmp_path / "models" / "VAE").mkdir(parents=True)
    (tmp_path / "models" / "VAE" / path.name).symlink_to(path)
    assert published_tiny_decoder(tmp_path / "m.safetensors", {**VAE, **SD}, settings) is None


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_it_makes_the_previews_of_a_model_that_has_none(backend: str, folder: Path, tmp_path: Path) -> None:
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "scaling_factor": 0.18215}))
    theirs = random_tiny()
    write_original(theirs, tmp_path / "models" / "vae_approx" / "taesd_decoder.safetensors")
    settings = Settings(
        data_dir=tmp_path / "data", model_dirs=(tmp_path / "models",), backend=backend, dtype="float32"
    )
    bundle = load_bundle(str(folder), replace(settings, device="cpu" if backend == "torch" else "auto"))
    assert bundle.backend.has_tiny_decoder
    z = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    mine = bundle.backend.decode_tiny(bundle.backend.asarray(z))
    with torch.no_grad():
        assert np.allclose(mine, theirs.decode(torch.from_numpy(z)).sample.numpy(), atol=2e-5)


def test_a_broken_one_stops_no_drawing(folder: Path, tmp_path: Path) -> None:
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "scaling_factor": 0.18215}))
    (folder.parent / "taesd_decoder.safetensors").write_bytes(b"<html>")
    found = find_model(str(folder), Settings(data_dir=tmp_path / "data"))
    assert found.files.tiny_decoder is None
    assert "Previews do without their decoder" in found.notes[0]
