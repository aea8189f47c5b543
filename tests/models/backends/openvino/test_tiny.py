"""The tiny decoder's graph against diffusers with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.tiny import build_tiny_decoder
from sfumato.models.backends.openvino.weights import Weights


@pytest.mark.parametrize("shape", [(2, 4, 6, 5), (-1, 4, -1, -1)])
def test_the_output_is_that_of_diffusers(shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(1)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(2, 1, 1),
    )
    vae.eval().requires_grad_(False).save_pretrained(tmp_path)
    z = np.random.default_rng(0).standard_normal((2, 4, 6, 5)).astype(np.float32) * 2
    graph = build_tiny_decoder(
        Weights(tmp_path / "diffusion_pytorch_model.safetensors"), dict(vae.config), shape
    )
    compiled = shared_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pixels = np.array(compiled({"latents": z})[0])
    assert pixels.shape == (2, 3, 24, 20)
    np.testing.assert_allclose(pixels, vae.decode(torch.tensor(z)).sample.numpy(), atol=2e-5)
