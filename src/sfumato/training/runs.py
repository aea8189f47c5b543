"""A run of a training recipe: where it lives, what decides its weights, and what earlier runs left for it."""

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from diffusers import AutoencoderKL
from safetensors import SafetensorError
from torch import nn

from sfumato.errors import InputError, ModelFileError, RecipeError
from sfumato.models.files import BYTE_PAIRS
from sfumato.recipe.train import (
    ControlNetStage,
    DiffusionStage,
    JudgeStage,
    Optimisation,
    TinyDecoderStage,
    TrainRecipe,
    UpscalerStage,
)
from sfumato.settings import Settings
from sfumato.training import checkpoints, diffusion, latents
from sfumato.training.loop import Task, TrainStep, train

Steps: TypeAlias = Generator[TrainStep, None, None]


@dataclass(frozen=True)
class Run:
    """One recipe on its way: where it lives and with what."""

    recipe: TrainRecipe
    runs: Path
    settings: Settings

    @property
    def folder(self) -> Path:
        return self.runs / self.recipe.name

    @property
    def plan(self) -> Optimisation:
        if self.recipe.optimisation is None:
            stage = self.recipe.task.stage
            raise RecipeError(f"the stage {stage} needs a section [optimisation]", field="optimisation")
        return self.recipe.optimisation

    def result(self, name: str, path: str) -> Path:
        """The result of an earlier stage; raises `InputError` when it is not there."""
        found = self.runs / name / path
        if not found.exists():
            hint = f"Run the recipe that makes {name} first (recipes/train/)."
            raise InputError(
                "an earlier stage has not been run to its end", field="task", value=str(found), hint=hint
            )
        return found


def digest(recipe: TrainRecipe, earlier: Mapping[str, Any] | None = None) -> str:
    """sha256 (hex) of all that decides a run's weights: everything in the recipe but its name and how often
    it reports, and what `earlier` stages made, when it builds on some."""
    data = recipe.model_dump(mode="json", exclude={"name", "reporting"})
    return sha256_of(data if earlier is None else {**data, "earlier": earlier})


def earlier_results(recipe: TrainRecipe, runs: Path) -> dict[str, Any] | None:
    """What a run of later stages builds on, for `digest`: the facts of its caches, and the sha256 of every
    weight and of the tokenizer. None for the first stages, and the judge."""
    if isinstance(recipe.task, ControlNetStage):
        places = [f"{recipe.task.model}/model/{part}" for part in ("unet", "text_encoder", "tokenizer")]
        if recipe.task.start is not None:
            places.append(f"{recipe.task.start}/controlnet")
        return {"files": _hashes(runs, places), "latents": [latents.facts(runs / recipe.task.latents)]}
    if isinstance(recipe.task, JudgeStage) and recipe.task.start is not None:
        return {"files": _hashes(runs, [recipe.task.start])}
    if not isinstance(recipe.task, DiffusionStage | TinyDecoderStage | UpscalerStage):
        return None
    stage = recipe.task
    places = [f"{stage.autoencoder}/vae"]
    if isinstance(stage, DiffusionStage):
        places += [f"{stage.text}/text_encoder", f"{stage.text}/tokenizer"]
        if stage.start is not None:
            places += [f"{stage.start}/model/unet", f"{stage.start}/model/text_encoder"]
    caches = () if isinstance(stage, UpscalerStage) else stage.latents
    return {"files": _hashes(runs, places), "latents": [latents.facts(runs / name) for name in caches]}


def _hashes(runs: Path, places: list[str]) -> dict[str, str]:
    """The sha256 of every weight and byte pair in folders below `runs`."""
    files = [path for place in places for path in sorted((runs / place).glob("*"))]
    deciding = [path for path in files if path.suffix == ".safetensors" or path.name in BYTE_PAIRS]
    hashes: dict[str, str] = {}
    for path in deciding:
        with path.open("rb") as file:
            hashes[path.relative_to(runs).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def steps_of(run: Run, task: Task, earlier: Mapping[str, Any] | None = None) -> Steps:
    """Train `task` as the run's recipe says, from where the run stopped; `earlier` is for `digest`. Raises
    what `loop.train` raises, and RecipeError for a recipe without its section [optimisation]."""
    return train(
        task,
        run.plan,
        run.recipe.reporting,
        seed=run.recipe.seed,
        folder=run.folder,
        digest=digest(run.recipe, earlier),
        device=run.settings.device,
    )


def load_averages(run: Run, modules: dict[str, nn.Module]) -> None:
    """Load the newest averaged weights of a run into fresh `modules`. Raises ModelFileError without any."""
    found = checkpoints.find(run.folder)
    if not found:
        hint = "Run the recipe again."
        raise ModelFileError("the run has no checkpoint", field="runs", value=str(run.folder), hint=hint)
    checkpoints.load_averages(found[-1], modules)


def load_vae(folder: Path) -> AutoencoderKL:
    """Load an earlier run's autoencoder. Raises ModelFileError when it is damaged."""
    try:
        return AutoencoderKL.from_pretrained(folder, use_safetensors=True, local_files_only=True).eval()
    except (OSError, SafetensorError, ValueError) as error:
        raise diffusion.unreadable(folder, error) from error


def sha256_of(data: dict[str, Any]) -> str:
    """Return the sha256 (hex) of `data` as JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
