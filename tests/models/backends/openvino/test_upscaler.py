"""The upscaler's graph against torch with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.upscaler import build_upscaler
from sfumato.models.backends.openvino.weights import Weights
from sfumato.models.upscaler_net import load_upscaler_net
from sfumato.models.upscalers import WEIGHTS
from tiny_upscaler import SHAPE, write_upscaler


@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (-1, 3, -1, -1), (1, 3, 1, 1)])
def test_the_output_is_that_of_torch(shape: tuple[int, ...], tmp_path: Path) -> None:
    write_upscaler(tmp_path)
    weights = Weights(tmp_path / WEIGHTS)
    graph = build_upscaler(weights, SHAPE.config(), shape)
    weights.check_all_taken()
    sides = [2 if side == -1 else side for side in shape[:2]] + [
        7 if side == -1 else side for side in shape[2:]
    ]
    pictures = np.random.default_rng(0).uniform(-1, 1, sides).astype(np.float32)
    compiled = shared_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    output = np.array(compiled({"pictures": pictures})[0])
    expected = load_upscaler_net(tmp_path)(torch.from_numpy(pictures)).numpy()
    assert output.shape == (sides[0], 3, 4 * sides[2], 4 * sides[3])
    np.testing.assert_allclose(output, expected, atol=2e-5)
