"""T2I-Adapters of the torch backend against diffusers' own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from family_models import family_folder
from sfumato.errors import ModelFileError
from sfumato.models.backends.base import Extra
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.files import locate
from tiny_t2i import LIGHT, SD, XL, write_t2i

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    return load_torch(locate(family_folder("sd")), "cpu", "float32")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


def hint(rows: int, channels: int = 3, width: int = 64) -> torch.Tensor:
    numbers = np.random.default_rng(1).random((rows, channels, 64, width), np.float32)
    return torch.tensor(numbers)


@pytest.mark.parametrize(("config", "channels"), [(SD, 3), (SD, 1), (LIGHT, 3)])
def test_features_are_those_of_diffusers(
    config: dict[str, Any], channels: int, backend: TorchBackend, tmp_path: Path
) -> None:
    theirs: Any = write_t2i(tmp_path, config, in_channels=channels)
    files = locate_controlnet(tmp_path)
    assert files.hint_channels == channels
    made = backend.t2i_adapter(files).features(hint(2, channels))
    assert [one.shape[2:] for one in made] == [(8, 8), (4, 4), (2, 2), (1, 1)]
    for ours, one in zip(made, theirs(hint(2, channels)), strict=True):
        assert torch.allclose(ours, one, atol=1e-6)
        assert 0.1 < one.abs().mean() < 10
        assert not ours.requires_grad


def test_the_unet_takes_them_as_diffusers_does(backend: TorchBackend, tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    features = backend.t2i_adapter(locate_controlnet(tmp_path)).features(hint(1))
    x, context = normal(2, 4, 8, 8), normal(2, 16, 32, seed=2)
    ours = backend.predict(x, 321.5, context, Extra(inside=features))
    unet: Any = UNet2DConditionModel.from_pretrained(family_folder("sd") / "unet")
    with torch.no_grad():
        residuals = [one.expand(2, -1, -1, -1).clone() for one in features]
        theirs = unet(x, 321.5, context, down_intrablock_additional_residuals=residuals).sample
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert (ours - backend.predict(x, 321.5, context)).abs().max() > 0.1
    again, deep = backend.predict_reusing(x, 321.5, context, None, Extra(inside=features))
    assert torch.allclose(again, ours, atol=1e-5)
    near, _ = backend.predict_reusing(x, 321.5, context, deep, Extra(inside=features))
    assert torch.allclose(near, ours, atol=1e-5)


def test_the_middle_of_sdxl_takes_one_as_well(tmp_path: Path) -> None:
    backend = load_torch(locate(family_folder("sdxl")), "cpu", "float32")
    write_t2i(tmp_path, XL)
    features = backend.t2i_adapter(locate_controlnet(tmp_path)).features(hint(1))
    assert len(features) == 4
    told: dict[str, Any] = {"pooled": normal(2, 40), "time_ids": torch.full((2, 6), 64.0)}
    x, context = normal(2, 4, 8, 8), normal(2, 16, 80, seed=2)
    whole = backend.predict(x, 321.5, context, Extra(inside=features, **told))
    less = backend.predict(x, 321.5, context, Extra(inside=features[:3], **told))
    assert (whole - less).abs().max() > 0.02
    for inside, one in ((features, whole), (features[:3], less)):
        walked, _ = backend.predict_reusing(x, 321.5, context, None, Extra(inside=inside, **told))
        assert torch.allclose(walked, one, atol=1e-5)


def test_sides_that_cannot_be_folded_are_continued(tmp_path: Path) -> None:
    backend = load_torch(locate(family_folder("sdxl")), "cpu", "float32")
    write_t2i(tmp_path, XL)
    features = backend.t2i_adapter(locate_controlnet(tmp_path)).features(hint(1, width=72))
    assert [one.shape[2:] for one in features] == [(4, 5), (4, 5), (2, 3), (2, 3)]
    told: dict[str, Any] = {"pooled": normal(1, 40), "time_ids": torch.full((1, 6), 64.0)}
    out = backend.predict(normal(1, 4, 8, 9), 10.0, normal(1, 16, 80), Extra(inside=features, **told))
    assert out.shape == (1, 4, 8, 9)


def test_one_is_loaded_once_and_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    half = load_torch(locate(family_folder("sd")), "cpu", "bfloat16")
    adapter = half.t2i_adapter(locate_controlnet(tmp_path))
    assert half.t2i_adapter(locate_controlnet(tmp_path)) is adapter
    assert {one.dtype for one in adapter.features(hint(1))} == {torch.float32}


def test_weights_that_do_not_fit_are_found_before_anything_is_loaded(tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    weights = load_file(tmp_path / WEIGHTS)
    del weights["adapter.conv_in.bias"]
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(ModelFileError, match=r"^control: .*does not fit its config.json: it lacks adapter"):
        locate_controlnet(tmp_path)
