"""Checkpoints: everything a run needs to go on bit for bit, as safetensors and JSON, written so that a kill at any moment
leaves the last complete one in place."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sfumato.errors import ModelFileError

_FOLDER = re.compile(r"^step-(\d{9})$")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on disk: its folder and the number of steps done."""

    folder: Path
    step: int


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pack(prefix: str, modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{prefix}.{name}.{key}": value.detach().cpu().contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _unpack(tensors: Mapping[str, Tensor], prefix: str, modules: Mapping[str, nn.Module]) -> None:
    for name, module in modules.items():
        start = f"{prefix}.{name}."
        module.load_state_dict({k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)})


def _pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{key}": value.detach().cpu().contiguous()
        for index, row in state.items()
        for key, value in row.items()
    }


def _unpack_optimizer(tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    rows: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            rows.setdefault(int(index), {})[key] = value
    state: dict[str, Any] = optimizer.state_dict()
    optimizer.load_state_dict({**state, "state": rows})


def save(
    folder: Path,
    step: int,
    models: Mapping[str, nn.Module],
    averages: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    keep: int,
) -> Checkpoint:
    """Write checkpoint `step` under `folder`, then remove all but the newest `keep`.

    `facts` is JSON data that goes beside the tensors (the recipe's digest, the figures so far). The checkpoint appears under its final
    name only when it is complete and on disk.
    """
    final = folder / f"step-{step:09d}"
    draft = folder / f".draft-{step:09d}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    tensors = {**_pack("model", models), **_pack("ema", averages), **_pack_optimizer(optimizer)}
    save_file(tensors, draft / "state.safetensors")
    (draft / "facts.json").write_text(json.dumps({**facts, "step": step}, indent=1), encoding="utf-8")
    for path in (draft / "state.safetensors", draft / "facts.json", draft):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    _sync(folder)
    for old in find(folder)[:-keep]:
        shutil.rmtree(old.folder)
    return Checkpoint(final, step)


def find(folder: Path) -> list[Checkpoint]:
    """The complete checkpoints under `folder`, oldest first."""
    if not folder.is_dir():
        return []
    found = [
        Checkpoint(path, int(match[1]))
        for path in folder.iterdir()
        if (match := _FOLDER.match(path.name)) is not None
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _read(checkpoint: Checkpoint) -> dict[str, Tensor]:
    path = checkpoint.folder / "state.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        hint = "remove this folder: the run goes on from the checkpoint before it"
        raise ModelFileError(
            "the checkpoint cannot be read", field=str(path), value=str(error), hint=hint
        ) from error


def restore(
    checkpoint: Checkpoint,
    models: Mapping[str, nn.Module],
    averages: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> dict[str, Any]:
    """Put a run back exactly as `save` saw it; returns the facts. Raises `ModelFileError` for a damaged checkpoint."""
    tensors = _read(checkpoint)
    _unpack(tensors, "model", models)
    _unpack(tensors, "ema", averages)
    _unpack_optimizer(tensors, optimizer)
    return json.loads((checkpoint.folder / "facts.json").read_text(encoding="utf-8"))


def load_averages(checkpoint: Checkpoint, modules: Mapping[str, nn.Module]) -> None:
    """Load the averaged (EMA) weights of a checkpoint into `modules`, by name."""
    _unpack(_read(checkpoint), "ema", modules)
