from typing import Any

import numpy as np
import pytest
import torch

from sfumato.evaluation.speed.contestants import Contestant
from sfumato.evaluation.speed.peak_player import CHANNELS, load_peak, operations
from sfumato.evaluation.speed.turn_taking import job_of
from sfumato.evaluation.speed.turns import Turn

MATMUL = Turn("matmul", 1, 32, 32)
CONVOLUTION = Turn("convolution", 2, 8, 8)


def test_operations() -> None:
    assert operations(MATMUL) == 2 * 32**3
    # 15.1 GFLOP at the size of Stable Diffusion 1's first level
    assert operations(Turn("convolution", 2, 64, 64)) == 2 * 2 * 4096 * 9 * CHANNELS**2 == 15_099_494_400


@pytest.mark.parametrize("turn", [MATMUL, CONVOLUTION], ids=lambda turn: turn.task)
def test_both_libraries_compute_the_same(turn: Turn) -> None:
    theirs: Any = load_peak(job_of(Contestant("peak", "torch", "float32"), "", "")).task(turn)()
    ours: Any = load_peak(job_of(Contestant("peak", "openvino", "float32"), "", "")).task(turn)()
    (result,) = ours.values()
    assert np.allclose(result, theirs.numpy(), atol=1e-2)


def test_torch_computes_in_what_was_asked() -> None:
    result: Any = load_peak(job_of(Contestant("peak", "torch", "bfloat16"), "", "")).task(MATMUL)()
    assert result.dtype == torch.bfloat16


def test_there_are_two_tasks() -> None:
    player = load_peak(job_of(Contestant("peak", "torch", "float32"), "", ""))
    with pytest.raises(ValueError, match="there is no task step"):
        player.task(Turn("step"))
