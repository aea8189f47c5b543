"""A worker's player for the best a processor can do: one large matrix product, one large convolution.

They are the work of which Stable Diffusion's networks mostly consist, without anything between.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.evaluation.speed.turns import Job, Task, Turn, Unavailable

CHANNELS: Final = 320  # in and out of the convolution: Stable Diffusion 1's first level


def operations(turn: Turn) -> int:
    """Return how many operations a task is, two for each multiplication and its addition.

    "matmul" is a product of square matrices with sides `height`; "convolution" a kernel of 3x3 over `batch`
    grids of `height` x `width` with 320 channels.
    """
    if turn.task == "matmul":
        return 2 * turn.height**3
    return 2 * turn.batch * turn.height * turn.width * CHANNELS * CHANNELS * 9


@dataclass(frozen=True, eq=False)
class OpenVinoPeak:
    """Single operations as graphs of openvino."""

    precision: str

    def task(self, turn: Turn) -> Task:
        from sfumato.models.backends.openvino.networks import shared_core
        from sfumato.models.backends.openvino.runtime import op, ov

        numbers, weights = _inputs(turn)
        x = op.parameter(list(numbers.shape), ov.Type.f32, name="x")
        w = op.constant(weights)
        if turn.task == "matmul":
            node = op.matmul(x, w, False, True)
        else:
            node = op.convolution(x, w, [1, 1], [1, 1], [1, 1], [1, 1])
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = ov.Model([op.result(node)], [x], turn.task)
        request = shared_core().compile_model(model, "CPU", options).create_infer_request()
        return lambda: request.infer([numbers])


@dataclass(frozen=True, eq=False)
class TorchPeak:
    """Single operations of torch."""

    precision: str

    def task(self, turn: Turn) -> Task:
        import torch

        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[self.precision]
        x, w = (torch.from_numpy(one).to(dtype) for one in _inputs(turn))

        def quiet(call: Any, *inputs: Any) -> Task:
            def run() -> object:
                with torch.no_grad():
                    return call(*inputs)

            return run

        if turn.task == "matmul":
            return quiet(torch.nn.functional.linear, x, w)
        return quiet(lambda x, w: torch.nn.functional.conv2d(x, w, padding=1), x, w)


def load_peak(job: Job) -> OpenVinoPeak | TorchPeak:
    """Return the player of a job's library and precision. Raises Unavailable."""
    if job.library == "torch":
        return TorchPeak(job.precision)
    from sfumato.models.backends.openvino.networks import has_bfloat16, shared_core

    if job.precision == "bfloat16" and not has_bfloat16(shared_core()):
        raise Unavailable("this processor does not multiply bfloat16 numbers")
    return OpenVinoPeak(job.precision)


def _inputs(turn: Turn) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    if turn.task == "matmul":
        shapes = (turn.height, turn.height), (turn.height, turn.height)
    elif turn.task == "convolution":
        shapes = (turn.batch, CHANNELS, turn.height, turn.width), (CHANNELS, CHANNELS, 3, 3)
    else:
        raise ValueError(f"there is no task {turn.task}")
    first, second = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return first, second
