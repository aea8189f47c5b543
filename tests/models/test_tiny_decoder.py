"""The tiny decoder: equal to diffusers' AutoencoderTiny, whoever wrote the folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.network_files import NetworkFiles
from sfumato.models.tiny_decoder import (
    TinyDecoder,
    build_decoder,
    decoder_config,
    load_tiny_decoder,
    save_decoder,
)
from tiny_models import write_tiny_decoder

CPU = torch.device("cpu")


def load(folder: Path, dtype: torch.dtype = torch.float32) -> TinyDecoder:
    config = json.loads((folder / "config.json").read_text())
    weights = folder / "diffusion_pytorch_model.safetensors"
    return load_tiny_decoder(NetworkFiles("tiny_decoder", config, weights), CPU, dtype)


def latents(channels: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, channels, 6, 5))).float()


def test_a_published_folder_decodes_as_in_diffusers(tmp_path: Path) -> None:
    theirs = AutoencoderTiny.from_pretrained(write_tiny_decoder(tmp_path / "taesd"))
    pixels = load(tmp_path / "taesd")(latents())
    assert pixels.shape == (2, 3, 48, 40)
    assert torch.allclose(pixels, theirs.decode(latents()).sample, atol=1e-6)
    assert not pixels.requires_grad


def test_scaling_and_shift_are_what_pipelines_do(tmp_path: Path) -> None:
    folder = write_tiny_decoder(tmp_path / "taesd")
    plain = load(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.5, "shift_factor": 0.25}))
    assert torch.allclose(load(folder)(latents()), plain(latents() / 0.5 + 0.25), atol=1e-6)


def test_a_sparse_config_means_diffusers_defaults(tmp_path: Path) -> None:
    net = build_decoder({"_class_name": "AutoencoderTiny"})
    theirs = AutoencoderTiny()
    net.load_state_dict(theirs.decoder.state_dict())
    assert torch.equal(net(latents()), theirs.decode(latents()).sample)


def test_what_is_saved_comes_back_in_half_precision(tmp_path: Path) -> None:
    config = decoder_config(8, 16, (2, 1, 0, 1))
    net = build_decoder(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_decoder(net, tmp_path, {"psnr": 31.5})
    with safe_open(tmp_path / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["tiny_decoder"]) == {"psnr": 31.5}
        assert {key.partition(".")[0] for key in file.keys()} == {"decoder"}  # noqa: SIM118
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118
    loaded = load(tmp_path)
    assert torch.allclose(loaded(latents(8)), net.half().float()(latents(8)), atol=1e-6)
    assert next(loaded.net.parameters()).dtype == torch.float32
    quick = load(tmp_path, torch.bfloat16)(latents(8))
    assert quick.dtype == torch.float32
    assert float((quick - loaded(latents(8))).abs().max()) < 0.1


def test_stock_diffusers_reads_what_is_saved(tmp_path: Path) -> None:
    config = decoder_config(8, 16, (2, 1, 0, 1))
    net = build_decoder(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_decoder(net, tmp_path, {})
    theirs = AutoencoderTiny.from_config(config)
    stored = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    missing = theirs.load_state_dict(stored, strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith("encoder.") for key in missing.missing_keys)
    assert torch.allclose(theirs.decode(latents(8)).sample, load(tmp_path)(latents(8)), atol=1e-6)


@pytest.mark.parametrize("damage", ["lacks", "shape", "unknown", "width"])
def test_weights_that_do_not_fit_are_one_line(tmp_path: Path, damage: str) -> None:
    folder = write_tiny_decoder(tmp_path / "taesd")
    path = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    first = "decoder.layers.0.weight"
    if damage == "lacks":
        del tensors[first]
    elif damage == "shape":
        tensors[first] = tensors[first][:3].contiguous()
    elif damage == "unknown":
        tensors["decoder.layers.99.weight"] = torch.zeros(3)
    else:
        config = json.loads((folder / "config.json").read_text())
        config["decoder_block_out_channels"] = ["eight"] * 4
        (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, path)
    with pytest.raises(ModelFileError, match=r"does not fit its config\.json") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
