"""The text encoder's graph against transformers with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from sfumato.models.backends.openvino.clip import build_text_encoder
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.weights import Weights


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("rows", [3, -1])
def test_the_output_is_that_of_transformers(activation: str, rows: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = CLIPTextConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=12,
        hidden_act=activation,
        bos_token_id=48,
        eos_token_id=49,
        pad_token_id=49,
    )
    model = CLIPTextModel(config).eval().requires_grad_(False)
    model.save_pretrained(tmp_path)
    ids = np.random.default_rng(0).integers(0, 50, (3, 12))
    weights = Weights(tmp_path / "model.safetensors")
    graph = build_text_encoder(weights, config.to_dict(), (rows, 12))
    weights.check_all_taken()
    compiled = shared_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(
        compiled([ids])[0], model(torch.tensor(ids)).last_hidden_state.numpy(), atol=2e-5
    )
