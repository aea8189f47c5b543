"""THE training loop: a generator of frozen steps. Any stage is a `Task`; progress bars and printing live
above.

Every random choice of step `n` comes from `(seed, n)`, never from the state of a generator that has run
since the start, so a resumed run needs no random state at all: what is left is the weights, their averages
and the optimiser.
"""

import hashlib
import math
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from sfumato.errors import InputError, NumericalError, RecipeError
from sfumato.recipe.train import Optimisation, Reporting
from sfumato.training import checkpoints
from sfumato.training.muon import Muon

Batch = Mapping[str, Any]


class Task(Protocol):
    """What a stage brings to the loop."""

    def modules(self) -> dict[str, nn.Module]:
        """The networks to train, by name, freshly initialised (from torch's global generator, which is
        seeded)."""
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
    """A report. `step` steps are done, `loss` and `figures` are means since the last report, and
    `checkpoint` is set on steps that saved one."""

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
    """The rate of step `step` (0-based): linear warm-up, a plateau up to `decay_start`, then the decay,
    which would reach `final_rate` one step after the last."""
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
    return torch.Generator("cpu").manual_seed(_stream(f"{seed}/{step}"))


class Averages:
    """Exponential moving averages of weights, with the warm-up `min(decay, (1 + n) / (10 + n))`."""

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.modules = {name: deepcopy(module).requires_grad_(False) for name, module in modules.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module], step: int) -> None:
        """Move towards the weights of `modules` after step `step` (0-based); buffers are copied."""
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
) -> Generator[TrainStep, None, None]:
    """Run `task` from its newest checkpoint in `folder` (or from the start) to `plan.steps`, yielding a
    report every `reporting.every` steps and at every checkpoint.

    `digest` names the recipe: a folder that holds another recipe's checkpoints is refused. Raises
    `RecipeError` for that, `InputError` for a device or precision this machine lacks, `ModelFileError` for
    a damaged checkpoint, `OutputError` when one cannot be written, `NumericalError` when the loss or its
    gradient stops being finite (before any weight is touched by it). Closing the generator stops the run
    without saving; what was saved stays.

    One run at a time in one process: accelerate keeps its device and precision per process.
    """
    found = checkpoints.find(folder)
    facts = checkpoints.read_facts(found[-1]) if found else {}
    if found and facts["recipe"] != digest:
        hint = "Use another `name`, or remove the folder to start over."
        raise RecipeError("holds a run of another recipe", field="name", value=folder.name, hint=hint)
    accelerator = _accelerator(plan.precision, device)
    torch.manual_seed(seed)
    raw = task.modules()
    averages = Averages(raw, plan.ema)
    parameters = [p for module in raw.values() for p in module.parameters() if p.requires_grad]
    optimizer = _optimizer(plan, raw)
    start = 0
    if found:
        start = found[-1].step
        checkpoints.restore(found[-1], raw, averages.modules, optimizer)
        if accelerator.scaler is not None and "scaler" in facts:
            accelerator.scaler.load_state_dict(facts["scaler"])
    modules: dict[str, Any] = {name: accelerator.prepare(module) for name, module in raw.items()}
    for average in averages.modules.values():
        average.to(accelerator.device)
    optimizer = accelerator.prepare(optimizer)
    if plan.compile:
        modules = {name: torch.compile(module) for name, module in modules.items()}

    meter = _Meter(plan)
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(task.batch, start, plan.batch_size)
        for step in range(start, plan.steps):
            batch = ahead.result()
            if step + 1 < plan.steps:
                ahead = pool.submit(task.batch, step + 1, plan.batch_size)
            rate = learning_rate(plan, step)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            # What a network draws by itself (dropout) is a matter of the step as well.
            torch.manual_seed(_stream(f"{seed}/{step}/network"))
            with accelerator.autocast():
                loss, figures = task.loss(modules, batch, step_generator(seed, step))
            value = float(loss.detach())
            _must_be_finite("loss", value, step)
            accelerator.backward(loss)
            norm = accelerator.clip_grad_norm_(parameters, plan.clip)
            if accelerator.scaler is None and norm is not None:  # a scaler skips steps that overflow
                _must_be_finite("gradient", float(norm), step)
            optimizer.step()
            optimizer.zero_grad()
            averages.update(raw, step)
            meter.add({"loss": value, **figures})
            done = step + 1
            saved = None
            if done % reporting.checkpoint == 0 or done == plan.steps:
                kept: dict[str, Any] = {"recipe": digest, "loss": meter.means()["loss"]}
                if accelerator.scaler is not None:
                    kept["scaler"] = accelerator.scaler.state_dict()
                saved = checkpoints.save(
                    folder, done, raw, averages.modules, optimizer, kept, reporting.keep
                ).folder
            if done % reporting.every == 0 or saved is not None:
                yield meter.report(done, rate, saved)
                meter = _Meter(plan)


class _Meter:
    """Means and pace of the steps since the last report."""

    def __init__(self, plan: Optimisation) -> None:
        self._plan = plan
        self._sums: dict[str, float] = {}
        self._seen = 0
        self._began = time.monotonic()

    def add(self, figures: Mapping[str, float]) -> None:
        self._seen += 1
        for name, figure in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + figure

    def means(self) -> dict[str, float]:
        return {name: total / self._seen for name, total in self._sums.items()}

    def report(self, done: int, rate: float, checkpoint: Path | None) -> TrainStep:
        seconds = max(time.monotonic() - self._began, 1e-9)
        means = self.means()
        return TrainStep(
            step=done,
            num_steps=self._plan.steps,
            loss=means.pop("loss"),
            learning_rate=rate,
            samples=done * self._plan.batch_size,
            samples_per_second=self._seen * self._plan.batch_size / seconds,
            seconds_left=seconds / self._seen * (self._plan.steps - done),
            figures=means,
            checkpoint=checkpoint,
        )


def _stream(name: str) -> int:
    """A 56-bit seed from a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "little")


def _accelerator(precision: str, device: str) -> Accelerator:
    # accelerate refuses a second precision or device in one process, but one run may follow another here.
    AcceleratorState._reset_state(reset_partial_state=True)
    wanted = None if device == "auto" else torch.device(device)
    if wanted is not None and wanted.type == "cuda" and torch.cuda.is_available():
        torch.cuda.set_device(wanted)
    hint = 'Use "bf16" or "no".'
    try:
        accelerator = Accelerator(mixed_precision=precision, cpu=device == "cpu")
    except ValueError as error:
        raise InputError(str(error), field="optimisation.precision", value=precision, hint=hint) from error
    if precision != "no" and not accelerator.native_amp:
        fault = f"training on {accelerator.device.type} cannot use it"
        raise InputError(fault, field="optimisation.precision", value=precision, hint=hint)
    if wanted is not None and accelerator.device.type != wanted.type:
        hint = f"It would train on {accelerator.device.type}: leave the device to auto."
        raise InputError("this machine has no such device", field="device", value=device, hint=hint)
    return accelerator


def _optimizer(plan: Optimisation, modules: Mapping[str, nn.Module]) -> torch.optim.Optimizer:
    """The recipe's optimiser: per network its weights, then its embedding tables, at the network's share of
    the rate.

    Raises `RecipeError` when `rates` names a network that this stage does not train.
    """
    unknown = set(plan.rates) - set(modules)
    if unknown:
        hint = f"This stage trains: {', '.join(modules)}."
        raise RecipeError("names no network of this stage", field="rates", value=min(unknown), hint=hint)
    groups: list[dict[str, Any]] = []
    for name, module in modules.items():
        tables = [part.weight for part in module.modules() if isinstance(part, nn.Embedding)]
        ids = {id(table) for table in tables}
        weights = [p for p in module.parameters() if p.requires_grad and id(p) not in ids]
        scale = plan.rates.get(name, 1.0)
        groups.append({"params": weights, "scale": scale})
        if tables:
            groups.append({"params": tables, "scale": scale, "table": True})
    settings: dict[str, Any] = {
        "lr": plan.learning_rate,
        "betas": plan.betas,
        "weight_decay": plan.weight_decay,
    }
    if plan.optimizer == "muon":
        return Muon(groups, **settings)
    return torch.optim.AdamW(groups, fused=True, **settings)


def _must_be_finite(name: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        hint = "Lower the learning rate, or use precision 'no'; the last checkpoint is intact."
        raise NumericalError(f"is not finite at step {step}", field=name, value=value, hint=hint)
