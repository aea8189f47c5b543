"""THE training loop: a generator of frozen steps. Any stage is a `Task`; progress bars and printing live above.

Every random choice of step `n` comes from `(seed, n)`, never from the state of a generator that has run since the start, so a
resumed run needs no random state at all: what is left is the weights, their averages and the optimiser.
"""

import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sfumato.errors import NumericalError, RecipeError
from sfumato.recipe.train import Optimisation, Reporting
from sfumato.training import checkpoints
from sfumato.training.muon import Muon

Batch = Mapping[str, Any]


class Task(Protocol):
    """What a stage brings to the loop."""

    def modules(self) -> dict[str, nn.Module]:
        """The networks to train, by name, freshly initialised."""
        ...

    def batch(self, step: int, size: int) -> Batch:
        """The data of step `step`, a pure function of it; called ahead of time from another thread."""
        ...

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The scalar to minimise and figures to report. `random` is this step's generator, on the CPU."""
        ...


@dataclass(frozen=True)
class TrainStep:
    """One step done. `loss` is the mean since the last report; `checkpoint` is set on steps that saved one."""

    step: int
    num_steps: int
    loss: float
    learning_rate: float
    samples: int
    samples_per_second: float
    seconds_left: float
    figures: Mapping[str, float]
    checkpoint: Path | None


def learning_rate(plan: Optimisation, step: int) -> float:
    """The rate of step `step` (0-based): linear warm-up, a plateau up to `decay_start`, then the decay to `final_rate`."""
    warm = min(1.0, (step + 1) / max(1, plan.warmup))
    start = plan.decay_start * plan.steps
    through = min(1.0, max(0.0, (step - start) / max(1.0, plan.steps - start)))
    if plan.decay == "cosine":
        level = 0.5 * (1 + math.cos(math.pi * through))
    else:
        level = 1 - through if plan.decay == "linear" else 1.0
    return plan.learning_rate * warm * (plan.final_rate + (1 - plan.final_rate) * level)


def step_generator(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step, independent of every other step's."""
    digest = hashlib.sha256(f"{seed}/{step}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:7], "little"))


class Averages:
    """Exponential moving averages of weights, with the warm-up `min(decay, (1 + n) / (10 + n))`."""

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.modules = {name: deepcopy(module).requires_grad_(False) for name, module in modules.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module], step: int) -> None:
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, average in self.modules.items():
            source = modules[name]
            torch._foreach_lerp_(list(average.parameters()), list(source.parameters()), weight)
            for kept, now in zip(average.buffers(), source.buffers(), strict=True):
                kept.copy_(now)


def train(
    task: Task,
    plan: Optimisation,
    reporting: Reporting,
    *,
    seed: int,
    folder: Path,
    digest: str,
    device: str = "auto",
) -> Iterator[TrainStep]:
    """Run `task` from its newest checkpoint in `folder` (or from the start) to `plan.steps`, yielding every step.

    `digest` names the recipe: a folder that holds another recipe's checkpoints is refused. Raises `RecipeError` for that, `NumericalError`
    when the loss stops being finite (nothing is saved then). Closing the generator stops the run without saving;
    what was saved stays.
    """
    accelerator = Accelerator(mixed_precision=plan.precision, cpu=device == "cpu")
    torch.manual_seed(seed)
    raw = task.modules()
    averages = Averages(raw, plan.ema)
    parameters = [p for module in raw.values() for p in module.parameters() if p.requires_grad]
    settings = {"lr": plan.learning_rate, "betas": plan.betas, "weight_decay": plan.weight_decay}
    optimizer = (
        Muon(parameters, **settings)
        if plan.optimizer == "muon"
        else torch.optim.AdamW(parameters, fused=True, **settings)
    )
    start = 0
    found = checkpoints.find(folder)
    if found:
        facts = checkpoints.restore(found[-1], raw, averages.modules, optimizer)
        if facts["recipe"] != digest:
            hint = "use another `name`, or remove the folder to start over"
            raise RecipeError("holds a run of another recipe", field="name", value=folder.name, hint=hint)
        start = found[-1].step
    modules = {name: accelerator.prepare(module) for name, module in raw.items()}
    for average in averages.modules.values():
        average.to(accelerator.device)
    optimizer = accelerator.prepare(optimizer)
    if plan.compile:
        modules = {name: torch.compile(module) for name, module in modules.items()}

    sums: dict[str, float] = {}
    seen, began = 0, time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(task.batch, start, plan.batch_size)
        for step in range(start, plan.steps):
            batch = ahead.result()
            if step + 1 < plan.steps:
                ahead = pool.submit(task.batch, step + 1, plan.batch_size)
            rate = learning_rate(plan, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with accelerator.autocast():
                loss, figures = task.loss(modules, batch, step_generator(seed, step))
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(parameters, plan.clip)
            optimizer.step()
            optimizer.zero_grad()
            averages.update(raw, step)
            value = float(loss.detach())
            if not math.isfinite(value):
                hint = "lower the learning rate, or use precision 'no'; the last checkpoint is intact"
                raise NumericalError(
                    f"the loss is not finite at step {step}", field="loss", value=value, hint=hint
                )
            seen += 1
            for name, figure in {"loss": value, **figures}.items():
                sums[name] = sums.get(name, 0.0) + figure
            done = step + 1
            saved = None
            if done % reporting.checkpoint == 0 or done == plan.steps:
                facts = {"recipe": digest, "loss": sums["loss"] / seen}
                saved = checkpoints.save(
                    folder, done, raw, averages.modules, optimizer, facts, reporting.keep
                ).folder
            if done % reporting.every == 0 or saved is not None:
                seconds = max(time.monotonic() - began, 1e-9)
                means = {name: total / seen for name, total in sums.items()}
                yield TrainStep(
                    done, plan.steps, means.pop("loss"), rate, done * plan.batch_size, seen * plan.batch_size / seconds,
                    seconds / seen * (plan.steps - done), means, saved,
                )  # fmt: skip
                sums, seen, began = {}, 0, time.monotonic()


def run_to_end(steps: Iterator[TrainStep]) -> TrainStep | None:
    """Consume a run quietly; the last reported step, or None when there was nothing left to do."""
    last = None
    with closing(steps):  # type: ignore[type-var]
        for last in steps:
            pass
    return last
