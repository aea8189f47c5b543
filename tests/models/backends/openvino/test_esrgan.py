"""ESRGAN's graph against torch with the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.models.backends.openvino.esrgan import build_esrgan
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.weights import Weights
from sfumato.models.esrgan import read_esrgan
from tiny_esrgan import tiny_esrgan, write_esrgan


@pytest.mark.parametrize(
    ("dialect", "blocks", "doublings", "fold"),
    [("first", 2, 2, 1), ("second", 1, 1, 1), ("real", 1, 3, 1), ("real", 1, 2, 2), ("real", 1, 2, 4)],
)
def test_the_output_is_that_of_torch(
    dialect: str, blocks: int, doublings: int, fold: int, tmp_path: Path
) -> None:
    net = tiny_esrgan(blocks, doublings, fold)
    file = read_esrgan(write_esrgan(tmp_path / "a.safetensors", net, dialect))
    shape = (1, 3, 8, 12)
    graph = build_esrgan(Weights(file.path), file, shape)
    compiled = shared_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pictures = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    output = np.array(compiled({"pictures": 2 * pictures - 1})[0])
    expected = 2 * net(torch.from_numpy(pictures)).numpy() - 1
    assert output.shape == expected.shape
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(output, expected, atol=2e-5)
