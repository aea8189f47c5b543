import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.numpy import load_file
from transformers import CLIPTextModel

from sfumato.errors import OutputError
from sfumato.evaluation.speed.sd15 import SD15
from sfumato.evaluation.speed.weights import check_space, num_weights, write_random_model
from sfumato.models.backends.openvino.support import unsupported
from sfumato.models.files import locate
from tiny_architecture import TINY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    write_random_model(folder, TINY)
    return folder


def test_it_is_a_model_folder_in_half_precision(folder: Path) -> None:
    files = locate(folder)
    assert unsupported(files) is None
    weights = [load_file(network.weights) for network in (files.unet, files.vae, files.text_encoder)]
    assert sum(one.size for network in weights for one in network.values()) == num_weights(TINY)
    assert {one.dtype for network in weights for one in network.values()} == {np.dtype(np.float16)}


def test_numbers_have_the_size_of_a_fresh_network_s(folder: Path) -> None:
    weights = load_file(locate(folder).unet.weights)
    kernel = weights["mid_block.resnets.0.conv1.weight"]
    assert kernel.std() == pytest.approx(1 / np.sqrt(64 * 9), rel=0.05)
    assert (weights["conv_norm_out.weight"] == 1).all()
    assert (weights["conv_norm_out.bias"] == 0).all()


def test_diffusers_loads_every_tensor_and_its_outputs_are_finite(folder: Path) -> None:
    unet: Any
    unet, unet_report = UNet2DConditionModel.from_pretrained(folder / "unet", output_loading_info=True)
    vae: Any
    vae, vae_report = AutoencoderKL.from_pretrained(folder / "vae", output_loading_info=True)
    text: Any
    text, text_report = CLIPTextModel.from_pretrained(folder / "text_encoder", output_loading_info=True)
    for report in (unet_report, vae_report, text_report):
        assert not report["missing_keys"]
        assert not report["unexpected_keys"]
    x = torch.randn(2, 4, 8, 8, dtype=unet.dtype)
    with torch.no_grad():
        context = text(torch.randint(0, 1000, (2, 77)))[0]
        out = unet(x, 500, context.to(unet.dtype)).sample
        assert torch.isfinite(out).all()
        assert 0.01 < out.float().std() < 100
        assert torch.isfinite(vae.decode(x.to(vae.dtype)).sample).all()


def test_a_disk_without_room_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_space(tmp_path, TINY)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000_000))
    with pytest.raises(OutputError, match=r"needs 2\.2 GB for a while, and 1\.0 GB are free"):
        check_space(tmp_path, SD15)


def test_a_disk_that_fills_up_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "unet").write_text("no folder")
    with pytest.raises(OutputError, match="random weights cannot be written"):
        write_random_model(tmp_path, TINY)
