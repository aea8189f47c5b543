"""Checkpoints: everything a run needs to go on bit for bit, as safetensors and JSON.

A checkpoint is written under a hidden name and renamed when it is complete and on disk, and is renamed away
before it is removed: whatever moment a run is killed at, every folder that `find` sees is complete. Damage
that comes later (a failing disk, an editor) is reported and not passed over in silence.
"""

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

from sfumato.errors import ModelFileError, OutputError

_FOLDER = re.compile(r"^step-(\d{9})$")
_LEFTOVERS = (".draft-*", ".old-*")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on disk: its folder and the number of steps done."""

    folder: Path
    step: int


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

    `facts` is JSON data that goes beside the tensors (the recipe's digest, the figures so far). The
    checkpoint appears under its final name only when it is complete and on disk. Raises OutputError when it
    cannot be written; the checkpoints before it stay.
    """
    final = folder / f"step-{step:09d}"
    draft = folder / f".draft-{step:09d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in (path for pattern in _LEFTOVERS for path in folder.glob(pattern)):
            shutil.rmtree(leftover)
        draft.mkdir()
        tensors = {**_pack("model", models), **_pack("ema", averages), **_pack_optimizer(optimizer)}
        save_file(tensors, draft / "state.safetensors")
        (draft / "facts.json").write_text(json.dumps({**facts, "step": step}, indent=1), encoding="utf-8")
        for path in (draft / "state.safetensors", draft / "facts.json", draft):
            _sync(path)
        if final.exists():
            _remove(final)
        draft.rename(final)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        hint = "Make room or choose another place for runs; the run goes on from its last checkpoint."
        raise OutputError(
            f"the checkpoint cannot be written: {error}", field="runs", value=str(folder), hint=hint
        ) from error
    for old in find(folder)[:-keep]:
        _remove(old.folder)
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


def read_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """What `save` was told beside the tensors. Raises `ModelFileError` for a damaged checkpoint."""
    try:
        facts = json.loads((checkpoint.folder / "facts.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(checkpoint, error) from error
    if not isinstance(facts, dict) or facts.get("step") != checkpoint.step or "recipe" not in facts:
        raise _damaged(checkpoint, "facts.json is not this checkpoint's")
    return facts


def restore(
    checkpoint: Checkpoint,
    models: Mapping[str, nn.Module],
    averages: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Put a run back exactly as `save` saw it. Raises `ModelFileError` for a damaged checkpoint, or one of
    other networks."""
    tensors = _read(checkpoint)
    try:
        _unpack(tensors, "model", models)
        _unpack(tensors, "ema", averages)
        _unpack_optimizer(tensors, optimizer)
    except (RuntimeError, ValueError, KeyError) as error:
        raise _damaged(checkpoint, error) from error


def load_averages(checkpoint: Checkpoint, modules: Mapping[str, nn.Module]) -> None:
    """Load the averaged (EMA) weights of a checkpoint into `modules`, by name. Raises `ModelFileError` as
    `restore` does."""
    tensors = _read(checkpoint)
    try:
        _unpack(tensors, "ema", modules)
    except RuntimeError as error:
        raise _damaged(checkpoint, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    # Out of sight in one stroke: half a folder must never look like a checkpoint.
    doomed = folder.with_name(f".old-{folder.name}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def _damaged(checkpoint: Checkpoint, why: object) -> ModelFileError:
    return ModelFileError(
        f"the checkpoint cannot be read: {why}",
        field="checkpoint",
        value=str(checkpoint.folder),
        hint="Remove this folder: the run goes on from the checkpoint before it.",
    )


def _read(checkpoint: Checkpoint) -> dict[str, Tensor]:
    try:
        return load_file(checkpoint.folder / "state.safetensors")
    except (OSError, SafetensorError) as error:
        raise _damaged(checkpoint, error) from error


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
