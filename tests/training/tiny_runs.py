"""A folder of tiny finished runs that needs no font: an autoencoder, a text run and a latent cache."""

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sfumato.recipe.train import AutoencoderStage, TrainRecipe
from sfumato.recipe.validation import read_mapping
from sfumato.scenes import scene
from sfumato.training.autoencoder import build
from sfumato.training.loop import TrainStep
from sfumato.training.stages import start
from tiny_models import tiny_settings

SIZE = 32
OPTIMISATION = {"steps": 4, "batch_size": 2, "learning_rate": 1e-3, "warmup": 1, "ema": 0.5}
REPORTING = {"every": 1, "checkpoint": 2}
TEXT = {
    "stage": "text",
    "vocabulary": 700,
    "captions": 60,
    "max_length": 16,
    "width": 16,
    "layers": 1,
    "heads": 2,
}
DIFFUSION = {
    "stage": "diffusion",
    "autoencoder": "autoencoder",
    "latents": ["latents"],
    "text": "text",
    "channels": [8, 16],
    "attention": [False, True],
    "heads": 2,
    "groups": 4,
}

TINY_DECODER = {
    "stage": "tiny-decoder",
    "autoencoder": "autoencoder",
    "latents": ["latents"],
    "width": 8,
    "blocks": [1, 1, 0, 0],
    "held_out": 4,
}


def recipe(name: str, task: dict[str, Any], **sections: Any) -> TrainRecipe:
    """Return a training recipe of four steps with the given stage; `sections` replace or add tables."""
    learns = {} if task["stage"] == "latents" else {"optimisation": OPTIMISATION}
    data = {"name": name, "seed": 2, "task": task, "reporting": REPORTING, "data": {"size": SIZE}}
    return read_mapping({**data, **learns, **sections}, TrainRecipe)


def train_all(wanted: TrainRecipe, runs: Path) -> list[TrainStep]:
    """Run a recipe to its end and return its reports."""
    return [
        step for step in start(wanted, runs=runs, settings=tiny_settings()) if isinstance(step, TrainStep)
    ]


def write_runs(runs: Path) -> Path:
    """Write the runs `autoencoder`, `text` and `latents` into `runs`, and return it."""
    stage = AutoencoderStage(stage="autoencoder", channels=(4, 4, 8, 8), latent_channels=2, groups=2, crop=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        build(stage, SIZE).save_pretrained(runs / "autoencoder" / "vae")
        train_all(recipe("text", TEXT), runs)
        latents = torch.randn(12, 2, 4, 4).half()
    shown = [scene.sample(scene.stream_rng(0, index), scene.SceneMix()) for index in range(12)]
    (runs / "latents").mkdir()
    scenes = json.dumps([asdict(one) for one in shown])
    save_file({"latents": latents}, runs / "latents" / "shard-00000000.safetensors", {"scenes": scenes})
    facts = {"recipe": "random latents", "count": len(shown)}
    (runs / "latents" / "cache.json").write_text(json.dumps(facts))
    return runs


@functools.cache
def shared_runs(parent: Path) -> Path:
    """Return `write_runs` in a folder of `parent`, made once."""
    return write_runs(parent / "runs")
