"""A worker's player for ONNX Runtime: diffusers' UNet, exported by torch, as its users would do it."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from sfumato.evaluation.speed.turns import Job, Task, Turn, Unavailable

MIDDLE = 500.0
INPUTS = ("sample", "timestep", "encoder_hidden_states")


class _Outputs(torch.nn.Module):
    """A UNet that returns a tensor and not diffusers' dataclass."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return self.unet(x, t, context, return_dict=False)[0]


@dataclass(frozen=True, eq=False)
class OnnxPlayer:
    """The UNet of a folder; it is exported for every shape, as that runs fastest."""

    job: Job
    unet: Any
    tokens: int

    def task(self, turn: Turn) -> Task:
        if turn.task != "step":
            raise ValueError(f"there is no task {turn.task}")
        config = self.unet.config
        generator = torch.Generator("cpu").manual_seed(0)
        x = torch.randn(2 * turn.batch, config.in_channels, turn.height, turn.width, generator=generator)
        context = torch.randn(2 * turn.batch, self.tokens, config.cross_attention_dim, generator=generator)
        session = self._session(x, torch.tensor(MIDDLE), context)
        feed = {
            name: np.asarray(one)
            for name, one in zip(INPUTS, (x, torch.tensor(MIDDLE), context), strict=True)
        }

        def step() -> object:
            (output,) = session.run(None, feed)
            without, with_text = output[: turn.batch], output[turn.batch :]
            return without + self.job.guidance * (with_text - without)

        return step

    def _session(self, *inputs: torch.Tensor) -> Any:
        path = Path(self.job.scratch) / f"unet-{inputs[0].shape[0]}.onnx"
        with torch.no_grad():
            torch.onnx.export(_Outputs(self.unet), inputs, str(path), input_names=list(INPUTS), dynamo=False)
        return _module("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])


def load_onnx(job: Job) -> OnnxPlayer:
    """Load the UNet of a job's folder. Raises Unavailable without onnx or onnxruntime."""
    for name in ("onnx", "onnxruntime"):
        _module(name)
    folder = Path(job.folder)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    from transformers.models.clip.configuration_clip import CLIPTextConfig

    tokens = CLIPTextConfig.from_pretrained(folder / "text_encoder").max_position_embeddings
    return OnnxPlayer(job, unet, tokens)


def _module(name: str) -> Any:
    # By name: neither is a dependency of Sfumato; whoever has them sees how they compare.
    try:
        return import_module(name)
    except ImportError as error:
        raise Unavailable(f"{name} cannot be imported ({error})") from error
