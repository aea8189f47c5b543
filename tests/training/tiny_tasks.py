"""A task of the training loop that needs no font and takes milliseconds: real networks, data and losses.

`python -m training.tiny_tasks FOLDER OPTIMIZER` trains it as a program of its own, for tests that kill it.
"""

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sfumato.recipe.train import Optimisation, Reporting
from sfumato.training.loop import Batch, TrainStep, train

SEED = 5


class Waves:
    """Tell the frequency of a wave from a noisy picture of it and a word.

    It has everything that could spoil a resumed run: convolutions and matrices, biases and norms, an
    embedding table, buffers that change, dropout, noise from the step's generator, two networks.
    """

    def modules(self) -> dict[str, nn.Module]:
        layers = (
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.SiLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(8 * 64, 16),
        )
        return {"net": nn.Sequential(*layers), "words": nn.Embedding(10, 16)}

    def batch(self, step: int, size: int) -> Batch:
        rng = np.random.default_rng([SEED, step])
        frequency = rng.uniform(0.5, 2, size).astype(np.float32)
        wave = np.sin(frequency[:, None, None] * np.arange(64, dtype=np.float32).reshape(1, 8, 8) / 4)
        return {
            "pictures": torch.from_numpy(wave[:, None]),
            "words": torch.from_numpy(rng.integers(0, 10, size)),
            "frequency": torch.from_numpy(frequency),
        }

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        pictures = batch["pictures"] + 0.1 * torch.randn(batch["pictures"].shape, generator=random)
        state = modules["net"](pictures) + modules["words"](batch["words"])
        error = (state.float().mean(dim=1) - batch["frequency"]).abs().mean()
        return error, {"error": float(error.detach())}


def plan(**changes: Any) -> Optimisation:
    """Return seven steps of four pictures; `changes` are fields of `Optimisation`."""
    given = {"steps": 7, "batch_size": 4, "learning_rate": 0.02, "warmup": 2, "ema": 0.9}
    return Optimisation.model_validate({**given, **changes})


def run(folder: Path, *, steps: int | None = None, digest: str = "a", **changes: Any) -> list[TrainStep]:
    """Train `Waves` in `folder`, from its last checkpoint on; stop after `steps` reports, or at the end."""
    reporting = Reporting(every=1, checkpoint=3, keep=2)
    seen: list[TrainStep] = []
    with closing(
        train(Waves(), plan(**changes), reporting, seed=SEED, folder=folder, digest=digest, device="cpu")
    ) as reports:
        for report in reports:
            seen.append(report)
            if len(seen) == steps:
                break
    return seen


def state(folder: Path, step: int) -> dict[str, Tensor]:
    """Return every tensor of a checkpoint: weights, averages, optimiser."""
    return load_file(folder / f"step-{step:09d}" / "state.safetensors")


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """True when both hold the same names and, bit for bit, the same numbers."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with closing(
        train(
            Waves(),
            plan(steps=100_000, optimizer=sys.argv[2], decay="constant"),
            Reporting(every=1, checkpoint=2, keep=2),
            seed=SEED,
            folder=Path(sys.argv[1]),
            digest="a",
            device="cpu",
        )
    ) as endless:
        for one in endless:
            print(one.step, flush=True)
