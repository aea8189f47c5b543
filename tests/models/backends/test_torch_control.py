"""ControlNets of the torch backend against diffusers' own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.backends.base import Extra
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.files import locate
from tiny_controlnets import write_controlnet
from tiny_models import tiny_folder

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    return load_torch(locate(tiny_folder()), "cpu", "float32")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


def hint(rows: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).random((rows, 3, 64, 64), np.float32)


@pytest.mark.parametrize("rows", [1, 2])
def test_residuals_are_those_of_diffusers(backend: TorchBackend, rows: int, tmp_path: Path) -> None:
    theirs = write_controlnet(tmp_path)
    x, context, seen = normal(2, 4, 8, 8), normal(2, 16, 32, seed=2), backend.asarray(hint(rows))
    expected = theirs(x, torch.tensor(321.5), context, seen, conditioning_scale=0.7)
    down, mid = backend.control(locate_controlnet(tmp_path)).residuals(x, 321.5, context, seen, 0.7)
    assert [one.shape[1:] for one in down] == [(16, 8, 8), (16, 8, 8), (16, 4, 4), (32, 4, 4)]
    for ours, one in zip((*down, mid), (*expected[0], expected[1]), strict=True):
        assert torch.allclose(ours, one, atol=1e-6)
        assert one.abs().max() > 0.1
        assert not ours.requires_grad
    steered = backend.predict(x, 321.5, context, Extra(down=down, mid=mid))
    assert (steered - backend.predict(x, 321.5, context)).abs().max() > 0.05


def test_residuals_follow_hint_and_scale(backend: TorchBackend, tmp_path: Path) -> None:
    write_controlnet(tmp_path)
    control = backend.control(locate_controlnet(tmp_path))
    x, context, seen = normal(1, 4, 8, 8), normal(1, 16, 32, seed=2), backend.asarray(hint(1))
    once, _ = control.residuals(x, 500.0, context, seen, 1.0)
    twice, _ = control.residuals(x, 500.0, context, seen, 2.0)
    blank, _ = control.residuals(x, 500.0, context, 0 * seen, 1.0)
    assert all(torch.allclose(2 * a, b, atol=1e-6) for a, b in zip(once, twice, strict=True))
    assert all((a - b).abs().max() > 0.02 for a, b in zip(once, blank, strict=True))


def test_added_conditions_reach_a_controlnet_built_like_sdxl(backend: TorchBackend, tmp_path: Path) -> None:
    theirs = write_controlnet(
        tmp_path,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8,
    )
    x, context, seen = normal(2, 4, 8, 8), normal(2, 16, 32, seed=2), backend.asarray(hint(1))
    extra = Extra(pooled=normal(2, 16), time_ids=torch.tensor([[1024.0, 999, 0, 3, 1024, 1024]] * 2))
    given = {"text_embeds": extra.pooled, "time_ids": extra.time_ids}
    expected = theirs(x, torch.tensor(500.0), context, seen, added_cond_kwargs=given)
    _, mid = backend.control(locate_controlnet(tmp_path)).residuals(x, 500.0, context, seen, 1.0, extra)
    assert torch.allclose(mid, expected.mid_block_res_sample, atol=1e-6)


def test_a_controlnet_is_loaded_once_and_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    write_controlnet(tmp_path)
    half = load_torch(locate(tiny_folder()), "cpu", "bfloat16")
    control = half.control(locate_controlnet(tmp_path))
    assert half.control(locate_controlnet(tmp_path)) is control
    x, context = normal(1, 4, 8, 8), normal(1, 16, 32)
    down, mid = control.residuals(x, 500.0, context, half.asarray(hint(1)), 1.0)
    assert {one.dtype for one in (*down, mid)} == {torch.float32}


def test_weights_that_do_not_fit_are_a_damaged_controlnet(backend: TorchBackend, tmp_path: Path) -> None:
    write_controlnet(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    del weights["controlnet_mid_block.bias"]
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(ModelFileError, match=r"^control: .*lacks controlnet_mid_block\.bias"):
        backend.control(locate_controlnet(tmp_path))
