"""The autoencoder's graphs against diffusers with the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from sfumato.models.backends.openvino.autoencoder import build_decoder, build_encoder
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.weights import Weights

LAYOUTS: dict[str, dict[str, Any]] = {
    "sd1": {},
    "no attention": {"mid_block_add_attention": False},
    "no projections": {"use_quant_conv": False, "use_post_quant_conv": False},
}


def write_vae(folder: Path, layout: str) -> AutoencoderKL:
    torch.manual_seed(1)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 16),
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=4,
        **LAYOUTS[layout],
    )
    vae.eval().requires_grad_(False).save_pretrained(folder)
    return vae


def run(model: Any, value: NDArray[np.float32]) -> NDArray[np.float32]:
    compiled = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([value])[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 4, 6, 5), (-1, 4, -1, -1)])
def test_the_decoder_is_that_of_diffusers(layout: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    vae = write_vae(tmp_path, layout)
    z = np.random.default_rng(0).standard_normal((2, 4, 6, 5)).astype(np.float32)
    weights = Weights(tmp_path / "diffusion_pytorch_model.safetensors")
    pixels = run(build_decoder(weights, dict(vae.config), shape), z)
    assert pixels.shape == (2, 3, 24, 20)
    np.testing.assert_allclose(pixels, vae.decode(torch.tensor(z)).sample.numpy(), atol=2e-5)
    weights.check_all_taken(("decoder.", "post_quant_conv."))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 24, 20), (-1, 3, -1, -1)])
def test_the_encoder_is_that_of_diffusers(layout: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    vae = write_vae(tmp_path, layout)
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 3, 24, 20)).astype(np.float32)
    weights = Weights(tmp_path / "diffusion_pytorch_model.safetensors")
    mean = run(build_encoder(weights, dict(vae.config), shape), pixels)
    expected = vae.encode(torch.tensor(pixels)).latent_dist.mean.numpy()
    np.testing.assert_allclose(mean, expected, atol=2e-5)
    weights.check_all_taken(("encoder.", "quant_conv."))
