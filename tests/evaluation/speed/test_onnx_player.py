from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from sfumato.evaluation.speed.contestants import ONNXRUNTIME, has_onnxruntime
from sfumato.evaluation.speed.onnx_player import OnnxPlayer, load_onnx
from sfumato.evaluation.speed.turn_taking import job_of
from sfumato.evaluation.speed.turns import Turn, Unavailable
from tiny_models import tiny_folder


@pytest.mark.skipif(has_onnxruntime(), reason="onnxruntime is installed")
def test_without_onnxruntime_it_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be imported"):
        load_onnx(job_of(ONNXRUNTIME, str(tiny_folder()), str(tmp_path)))


def test_it_has_steps_alone(tmp_path: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(tiny_folder() / "unet")
    player = OnnxPlayer(job_of(ONNXRUNTIME, str(tiny_folder()), str(tmp_path)), unet, 16)
    with pytest.raises(ValueError, match="there is no task decode"):
        player.task(Turn("decode", 1, 8, 8))


@pytest.mark.skipif(not has_onnxruntime(), reason="needs onnx and onnxruntime")
@pytest.mark.filterwarnings("ignore")
def test_a_step_equals_diffusers(tmp_path: Path) -> None:
    player = load_onnx(job_of(ONNXRUNTIME, str(tiny_folder()), str(tmp_path), guidance=3.0))
    step: Any = player.task(Turn("step", 2, 8, 8))
    generator = torch.Generator("cpu").manual_seed(0)
    x = torch.randn(4, 4, 8, 8, generator=generator)
    context = torch.randn(4, 16, 32, generator=generator)
    with torch.no_grad():
        without, with_text = player.unet(x, 500.0, context).sample.chunk(2)
    expected = without + 3.0 * (with_text - without)
    assert np.allclose(step(), expected.numpy(), atol=1e-3)
