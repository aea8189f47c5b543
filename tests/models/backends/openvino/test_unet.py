"""The UNet's graph against diffusers with the same weights, in the layouts that published models have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from numpy.typing import NDArray

from sfumato.errors import InputError, ModelFileError
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.unet import (
    Part,
    UNetShape,
    added_features,
    build_observed_unet,
    build_unet,
    guidance_features,
    per_level,
    sinusoid,
    time_features,
)
from sfumato.models.backends.openvino.weights import Weights

CROSS = ("CrossAttnDownBlock2D", "DownBlock2D")
CROSS_UP = ("UpBlock2D", "CrossAttnUpBlock2D")
SD1: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": CROSS,
    "up_block_types": CROSS_UP,
    "block_out_channels": (16, 32),
    "layers_per_block": 2,
    "norm_num_groups": 8,
    "cross_attention_dim": 24,
    "attention_head_dim": 2,
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "sd1": {},
    "sd2": {"use_linear_projection": True, "attention_head_dim": (2, 4)},
    "inpaint": {"in_channels": 9},
    "small": {"layers_per_block": 1},
    "tiny": {"layers_per_block": 1, "mid_block_type": None},
    "sdxl": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "use_linear_projection": True,
        "transformer_layers_per_block": (1, 2),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 20,
    },
    "uneven": {"layers_per_block": (1, 2)},
    "lcm": {"time_cond_proj_dim": 12},
}


def write_unet(folder: Path, layout: str) -> UNet2DConditionModel:
    torch.manual_seed(1)
    unet = UNet2DConditionModel(**{**SD1, **LAYOUTS[layout]}).eval().requires_grad_(False)
    unet.save_pretrained(folder)
    return unet


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ran(folder: Path, unet: Any, part: Part, inputs: dict[str, Any], **how: Any) -> list[NDArray[np.float32]]:
    shape = how.pop("shape", UNetShape())
    weights = Weights(folder / "diffusion_pytorch_model.safetensors")
    model = build_unet(weights, dict(unet.config), shape, part, **how)
    if part != "shallow":
        weights.check_all_taken()
    compiled = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(inputs)
    return [np.array(results[number]) for number in range(len(results))]


def inputs_of(unet: Any, side: int = 8) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the same call for the graph and for diffusers."""
    x, context = normal(2, unet.config.in_channels, side, side), normal(2, 5, 24, seed=1)
    ours: dict[str, Any] = {"x": x, "time": time_features(321.5, unet.config), "context": context}
    theirs: dict[str, Any] = {
        "sample": torch.tensor(x),
        "timestep": torch.tensor(321.5),
        "encoder_hidden_states": torch.tensor(context),
    }
    if unet.config.addition_embed_type is not None:
        pooled, ids = normal(2, 20, seed=2), np.array([[64, 64, 0, 8, 64, 32]] * 2, np.float32)
        ours["added"] = added_features(pooled, ids, unet.config)
        theirs["added_cond_kwargs"] = {"text_embeds": torch.tensor(pooled), "time_ids": torch.tensor(ids)}
    if unet.config.time_cond_proj_dim is not None:
        ours["guidance"] = guidance_features(4.5, unet.config)
        theirs["timestep_cond"] = torch.tensor(ours["guidance"])
    return ours, theirs


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_output_is_that_of_diffusers(layout: str, tmp_path: Path) -> None:
    unet = write_unet(tmp_path, layout)
    ours, theirs = inputs_of(unet)
    expected = unet(**theirs).sample.numpy()
    (output,) = ran(tmp_path, unet, "whole", ours)
    np.testing.assert_allclose(output, expected, atol=2e-5)
    (known,) = ran(tmp_path, unet, "whole", ours, shape=UNetShape(2, 8, 8, 5))
    np.testing.assert_allclose(known, expected, atol=2e-5)


@pytest.mark.parametrize("side", [7, 9])
def test_odd_sides_round_as_in_diffusers(side: int, tmp_path: Path) -> None:
    unet = write_unet(tmp_path, "sd1")
    ours, theirs = inputs_of(unet, side)
    (output,) = ran(tmp_path, unet, "whole", ours)
    np.testing.assert_allclose(output, unet(**theirs).sample.numpy(), atol=2e-5)


@pytest.mark.parametrize("layout", ["sd1", "tiny", "sdxl", "uneven"])
def test_features_of_the_same_call_give_the_same_output(layout: str, tmp_path: Path) -> None:
    unet = write_unet(tmp_path, layout)
    ours, _ = inputs_of(unet)
    (whole,) = ran(tmp_path, unet, "whole", ours)
    output, features = ran(tmp_path, unet, "both", ours)
    np.testing.assert_array_equal(output, whole)
    (again,) = ran(tmp_path, unet, "shallow", {**ours, "features": features})
    np.testing.assert_allclose(again, whole, atol=2e-6)
    (other,) = ran(tmp_path, unet, "shallow", {**ours, "features": features, "x": ours["x"] + 1})
    assert np.abs(other - whole).max() > 1e-2


def test_residuals_are_added_where_diffusers_adds_them(tmp_path: Path) -> None:
    unet = write_unet(tmp_path, "sd1")
    ours, theirs = inputs_of(unet)
    shapes = [(16, 8), (16, 8), (16, 8), (16, 4), (32, 4), (32, 4)]
    down = [normal(2, channels, side, side, seed=9 + n) for n, (channels, side) in enumerate(shapes)]
    mid = normal(2, 32, 4, 4, seed=5)
    expected = unet(
        **theirs,
        down_block_additional_residuals=tuple(map(torch.tensor, down)),
        mid_block_additional_residual=torch.tensor(mid),
    ).sample.numpy()
    steered = {**ours, **{f"down_{n}": one for n, one in enumerate(down)}, "mid": mid}
    output, features = ran(tmp_path, unet, "both", steered, residuals=True)
    np.testing.assert_allclose(output, expected, atol=2e-5)
    assert np.abs(expected - unet(**theirs).sample.numpy()).max() > 0.1
    first = {**ours, "features": features, "down_0": down[0]}
    np.testing.assert_allclose(ran(tmp_path, unet, "shallow", first, residuals=True)[0], expected, atol=2e-5)


@pytest.mark.parametrize(("flip", "shift"), [(True, 0), (False, 1)])
def test_waves_are_those_of_diffusers(flip: bool, shift: int) -> None:
    t = np.array([0.0, 3.25, 999.0], np.float32)
    theirs = get_timestep_embedding(
        torch.tensor(t), 32, flip_sin_to_cos=flip, downscale_freq_shift=shift
    ).numpy()
    np.testing.assert_allclose(sinusoid(t, 32, flip, shift), theirs, atol=1e-4)


def test_guidance_is_embedded_as_latent_consistency_models_were_told() -> None:
    from diffusers import LatentConsistencyModelPipeline

    embed = LatentConsistencyModelPipeline.get_guidance_scale_embedding
    theirs = embed(None, torch.tensor([6.5]), embedding_dim=12).numpy()  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(guidance_features(7.5, {"time_cond_proj_dim": 12}), theirs, atol=2e-3)


@pytest.mark.parametrize("layout", ["sd1", "sd2", "sdxl"])
def test_a_unet_of_whole_numbers_is_near(layout: str, tmp_path: Path) -> None:
    unet = write_unet(tmp_path, layout)
    ours, _ = inputs_of(unet)
    (exact,) = ran(tmp_path, unet, "whole", ours)
    weights = Weights(tmp_path / "diffusion_pytorch_model.safetensors")
    model, names = build_observed_unet(weights, dict(unet.config), UNetShape())
    results = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(ours)
    np.testing.assert_allclose(results[0], exact, atol=2e-5)
    ranges = {name: np.array(results[number]) for number, name in enumerate(names, start=1)}
    assert all(one.shape[0] == 2 for one in ranges.values())
    (near,) = ran(tmp_path, unet, "whole", ours, ranges=ranges)
    assert 1e-3 < np.linalg.norm(near - exact) / np.linalg.norm(exact) < 0.1
    (known,) = ran(tmp_path, unet, "whole", ours, ranges=ranges, shape=UNetShape(2, 8, 8, 5))
    np.testing.assert_allclose(known, near, atol=0.02)
    del ranges["mid_block.resnets.0.conv1.input"]
    with pytest.raises(InputError, match=r"no range of mid_block\.resnets\.0\.conv1\.input"):
        ran(tmp_path, unet, "whole", ours, ranges=ranges)


def test_weights_the_configuration_does_not_know_are_an_error(tmp_path: Path) -> None:
    unet = write_unet(tmp_path, "small")
    weights = Weights(tmp_path / "diffusion_pytorch_model.safetensors")
    build_unet(weights, {**unet.config, "mid_block_type": None}, UNetShape())
    with pytest.raises(ModelFileError, match=r"holds mid_block\.attentions\.0.*unknown to its config"):
        weights.check_all_taken()


def test_weights_that_are_missing_are_an_error(tmp_path: Path) -> None:
    unet = write_unet(tmp_path, "tiny")
    weights = Weights(tmp_path / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelFileError, match=r"lacks mid_block\.resnets\.0"):
        build_unet(weights, {**unet.config, "mid_block_type": "UNetMidBlock2DCrossAttn"}, UNetShape())


def test_one_number_stands_for_every_level() -> None:
    assert per_level(2, 3) == (2, 2, 2)
    assert per_level([1, 2], 2) == (1, 2)
