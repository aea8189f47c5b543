"""From a training recipe to a finished run: builds the stage's task, runs the one loop, and writes what the next stage needs.

Every run lives in `runs/NAME/`: `step-*` checkpoints and its result (`vae/`, `tokenizer/` and `text_encoder/`, `model/`, shards, or
`judge.safetensors`). Running a recipe again resumes it; running a finished one changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from sfumato.errors import InputError, RecipeError
from sfumato.models.judge import Judge, JudgeNet, bundled_judge, load_judge, save_judge
from sfumato.recipe.train import (
    AutoencoderStage,
    DiffusionStage,
    JudgeStage,
    LatentStage,
    Optimisation,
    TextStage,
    TrainRecipe,
)
from sfumato.scenes import scene
from sfumato.settings import Settings
from sfumato.training import autoencoder, checkpoints, diffusion, latents, text
from sfumato.training import judge as judging
from sfumato.training.export import export_pipeline, replacing
from sfumato.training.latents import CacheStep
from sfumato.training.loop import Task, TrainStep, train
from sfumato.training.samples import write_samples

#: What the bundled model draws with when nothing is asked for; chosen with `sfumato evaluate`.
DEFAULTS = {
    "width": 128,
    "height": 128,
    "steps": 20,
    "sampler": "ddim",
    "spacing": "trailing",
    "guidance": 3.0,
    "guidance_rescale": 0.0,
}


@dataclass(frozen=True)
class _Run:
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
            hint = f"run the recipe that makes {name} first (recipes/train/)"
            raise InputError(
                "an earlier stage has not been run to its end", field="task", value=str(found), hint=hint
            )
        return found


def digest(recipe: TrainRecipe) -> str:
    """sha256 (hex) of all that decides a run's weights: everything but its name and how often it reports."""
    data = recipe.model_dump(mode="json", exclude={"name", "reporting"})
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def start(recipe: TrainRecipe, *, runs: Path, settings: Settings) -> Iterator[TrainStep | CacheStep]:
    """Run `recipe` to its end, from where it stopped if it was begun before; yields its progress.

    Raises `RecipeError` and `InputError` before anything is written when the recipe cannot run, `NumericalError` when training
    diverges. Closing the iterator stops the run; the last checkpoint stays.
    """
    run = _Run(recipe, runs, settings)
    match recipe.task:
        case AutoencoderStage() as stage:
            return _autoencoder(run, stage)
        case LatentStage() as stage:
            return _latents(run, stage)
        case TextStage() as stage:
            return _text(run, stage)
        case DiffusionStage() as stage:
            return _diffusion(run, stage)
        case JudgeStage() as stage:
            return _judge(run, stage)


def _steps(run: _Run, task: Task) -> Iterator[TrainStep]:
    return train(
        task, run.plan, run.recipe.reporting, seed=run.recipe.seed, folder=run.folder,
        digest=digest(run.recipe), device=run.settings.device,
    )  # fmt: skip


def _averaged(run: _Run, modules: dict[str, nn.Module]) -> None:
    """Load the newest averaged weights of a run into fresh `modules`."""
    found = checkpoints.find(run.folder)
    checkpoints.load_averages(found[-1], modules)


def _scenes(
    run: _Run, first: int, count: int, mix: scene.SceneMix
) -> list[tuple[torch.Tensor, str, scene.Scene]]:
    """Fresh scenes that no training step of this run has seen (another stream)."""
    data, font = run.recipe.data, autoencoder.scene_font(run.recipe.data)
    rows = [scene.example(run.recipe.seed + 10_000, first + i, mix, font, data.size) for i in range(count)]
    return [(autoencoder.to_tensor([picture]), caption, shown) for picture, caption, shown in rows]


# --- the stages ------------------------------------------------------------------------------------------------------


def _autoencoder(run: _Run, stage: AutoencoderStage) -> Iterator[TrainStep]:
    task = autoencoder.AutoencoderTask(stage, run.recipe.data, run.recipe.seed)
    yield from _steps(run, task)
    vae = autoencoder.build(stage, run.recipe.data.size)
    _averaged(run, {"vae": vae})
    rows = _scenes(run, 0, 256, autoencoder.scene_mix(run.recipe.data))
    autoencoder.normalise(vae.eval(), torch.cat([picture for picture, _, _ in rows]))
    with replacing(run.folder / "vae") as draft:
        vae.save_pretrained(draft, safe_serialization=True)


def _load_vae(run: _Run, name: str) -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(run.result(name, "vae"), use_safetensors=True, local_files_only=True)


def _latents(run: _Run, stage: LatentStage) -> Iterator[CacheStep]:
    vae = _load_vae(run, stage.autoencoder).eval()
    yield from latents.encode(stage, run.recipe.data, seed=run.recipe.seed, vae=vae, folder=run.folder)


def _text(run: _Run, stage: TextStage) -> Iterator[TrainStep]:
    folder = run.folder / "tokenizer"
    if not folder.exists():
        vocab, merges = text.build_tokenizer(stage, run.recipe.data, run.recipe.seed)
        with replacing(folder) as draft:
            text.write_tokenizer(draft, vocab, merges, stage.max_length)
    captions = text.CaptionEncoder(folder)
    task = text.TextTask(stage, run.recipe.data, run.recipe.seed, captions)
    yield from _steps(run, task)
    modules = task.modules()
    _averaged(run, modules)
    with replacing(run.folder / "text_encoder") as draft:
        cast(CLIPTextModel, modules["text_encoder"]).save_pretrained(draft, safe_serialization=True)


def _diffusion(run: _Run, stage: DiffusionStage) -> Iterator[TrainStep]:
    vae = _load_vae(run, stage.autoencoder)
    tokenizer = run.result(stage.text, "tokenizer")
    captions = text.CaptionEncoder(tokenizer)
    cache = latents.load([run.result(name, ".") for name in stage.latents])

    def fresh() -> dict[str, nn.Module]:
        torch.manual_seed(run.recipe.seed)
        encoder = diffusion.load_text_encoder(run.result(stage.text, "text_encoder"))
        unet = diffusion.build_unet(
            stage, cache.latents.shape[1], cache.latents.shape[2], int(encoder.config.hidden_size)
        )
        if stage.start is not None:
            model = run.result(stage.start, "model")
            unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32)
            encoder = diffusion.load_text_encoder(model / "text_encoder").float()
        return {"unet": unet, "text_encoder": encoder}

    def export(target: Path) -> None:
        modules = fresh()
        _averaged(run, modules)
        export_pipeline(
            target, vae=vae, unet=cast(UNet2DConditionModel, modules["unet"]),
            text_encoder=cast(CLIPTextModel, modules["text_encoder"]), tokenizer=tokenizer,
            scheduler=diffusion.SCHEDULER, defaults={**DEFAULTS, "width": run.recipe.data.size, "height": run.recipe.data.size},
        )  # fmt: skip

    task = diffusion.DiffusionTask(stage, run.recipe.seed, run.plan.steps, cache, captions, fresh)
    with closing(_steps(run, task)) as steps:  # type: ignore[type-var]
        yield from _with_samples(run, steps, export)
    export(run.folder / "model")


def _with_samples(
    run: _Run, steps: Iterator[TrainStep], export: Callable[[Path], None]
) -> Iterator[TrainStep]:
    """Every `reporting.sample` steps (at a checkpoint): a sheet of pictures, and the judge's score among the figures."""
    every = run.recipe.reporting.sample
    judge: Judge | None = load_judge(bundled_judge()) if every and bundled_judge().exists() else None
    for step in steps:
        if not every or step.checkpoint is None or step.step % every:
            yield step
            continue
        model = run.folder / "sample-model"
        export(model)
        score = write_samples(
            model, run.folder / "samples" / f"step-{step.step:09d}.png", run.settings, judge
        )
        if score is None:
            yield step
        else:
            figures = {"objects": score.objects, "backgrounds": score.backgrounds, "styles": score.styles}
            yield replace(step, figures={**step.figures, **figures})


def _judge(run: _Run, stage: JudgeStage) -> Iterator[TrainStep]:
    task = judging.JudgeTask(stage, run.recipe.data, run.recipe.seed)
    yield from _steps(run, task)
    net = JudgeNet(stage.width)
    _averaged(run, {"judge": net})
    save_judge(
        net,
        run.folder / "judge.safetensors",
        {"accuracy": judge_accuracy(run, net), "recipe": digest(run.recipe)},
    )


def judge_accuracy(run: _Run, net: JudgeNet, count: int = 2000) -> dict[str, float]:
    """The judge's accuracy on fresh real renders, single objects: the ceiling of every score it gives."""
    mix = replace(autoencoder.scene_mix(run.recipe.data), pairs=0.0, counts=0.0)
    judge = Judge(net)
    right: dict[str, list[bool]] = {"objects": [], "background": [], "time": [], "style": []}
    for first in range(0, count, 200):
        rows = _scenes(run, first, min(200, count - first), mix)
        pixels = torch.cat([picture for picture, _, _ in rows])
        verdict = judge(np.asarray(((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1)))
        expected = {
            name: value.numpy() for name, value in judging.labels([shown for _, _, shown in rows]).items()
        }
        right["objects"] += list(verdict.objects.argmax(1) == expected["objects"].argmax(1))
        for name, logits in {
            "background": verdict.background,
            "time": verdict.time,
            "style": verdict.style,
        }.items():
            asked = expected[name] >= 0
            right[name] += list(logits.argmax(1)[asked] == expected[name][asked])
    return {name: float(np.mean(rows)) for name, rows in right.items()}
