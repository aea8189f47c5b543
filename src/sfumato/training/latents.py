"""The latent cache: scenes drawn and encoded once, in shards that appear only when they are complete."""

import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sfumato.errors import ModelFileError, RecipeError
from sfumato.recipe.train import LatentStage, SceneData
from sfumato.scenes import scene
from sfumato.training.autoencoder import latent_mean, scene_font, scene_mix, to_tensor

_BATCH = 16  # pictures encoded at a time; changing it changes the last bits of latents
_FACTS = "cache.json"


@dataclass(frozen=True)
class CacheStep:
    """One shard done: how many of how many pictures are encoded."""

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class LatentCache:
    """Encoded scenes in memory: `latents (N,C,h,w)` float16 and what each shows."""

    latents: Tensor
    scenes: tuple[scene.Scene, ...]


def encode(
    stage: LatentStage, data: SceneData, *, seed: int, vae: AutoencoderKL, folder: Path, digest: str
) -> Generator[CacheStep, None, None]:
    """Fill `folder` with shards of latents `(n,C,h,w)` float16, skipping those already there.

    `digest` names all that decides a latent but not how many there are: a folder that holds another cache
    is refused, and raising `stage.count` only adds to one. Raises `RecipeError` for a cache of another
    digest, and `ModelFileError` for a damaged shard or when a latent is not finite.
    """
    _claim(folder, digest)
    for begin in range(0, stage.count, stage.shard):
        size = min(stage.shard, stage.count - begin)
        path = folder / f"shard-{begin:08d}.safetensors"
        # The last shard of a smaller count is short: it is made again.
        if not path.exists() or len(_read(path)[1]) < size:
            latents, scenes = _encoded(stage.first + begin, size, data, seed, vae)
            if not bool(torch.isfinite(latents).all()):
                raise ModelFileError("the autoencoder makes latents that are not finite", field="autoencoder")
            draft = path.with_suffix(".draft")
            save_file({"latents": latents}, draft, {"scenes": json.dumps([asdict(s) for s in scenes])})
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.rename(path)
        yield CacheStep(begin + size, stage.count)


def load(folders: list[Path]) -> LatentCache:
    """Read every shard of the given cache folders. Raises `ModelFileError` for an empty folder or a damaged
    shard."""
    parts: list[Tensor] = []
    scenes: list[scene.Scene] = []
    for folder in folders:
        shards = sorted(folder.glob("shard-*.safetensors"))
        if not shards:
            hint = "Run the latents recipe first."
            raise ModelFileError("no latent cache here", field="latents", value=str(folder), hint=hint)
        for path in shards:
            latents, shown = _read(path)
            parts.append(latents)
            scenes += shown
    return LatentCache(torch.cat(parts), tuple(scenes))


def _claim(folder: Path, digest: str) -> None:
    facts = folder / _FACTS
    folder.mkdir(parents=True, exist_ok=True)
    if not facts.exists():
        draft = facts.with_suffix(".draft")
        draft.write_text(json.dumps({"recipe": digest}), encoding="utf-8")
        draft.rename(facts)
    try:
        found = json.loads(facts.read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Remove the folder to make the cache again."
        raise ModelFileError(
            f"the cache cannot be read: {error}", field="latents", value=str(facts), hint=hint
        ) from error
    if found != digest:
        hint = "Use another `name`, or remove the folder to start over."
        raise RecipeError("holds the latents of another recipe", field="name", value=folder.name, hint=hint)


def _encoded(
    first: int, size: int, data: SceneData, seed: int, vae: AutoencoderKL
) -> tuple[Tensor, list[scene.Scene]]:
    mix, font = scene_mix(data), scene_font(data)
    parts: list[Tensor] = []
    scenes: list[scene.Scene] = []
    for start in range(first, first + size, _BATCH):
        rows = [
            scene.example(seed, index, mix, font, data.size)
            for index in range(start, min(start + _BATCH, first + size))
        ]
        scenes += [shown for _, _, shown in rows]
        parts.append(latent_mean(vae, to_tensor([picture for picture, _, _ in rows])).half().cpu())
    return torch.cat(parts).contiguous(), scenes  # the encoder may answer in channels-last


def _read(path: Path) -> tuple[Tensor, list[scene.Scene]]:
    try:
        with safe_open(path, "pt") as file:
            latents = file.get_tensor("latents")
            rows = json.loads(file.metadata()["scenes"])
        scenes = [scene.Scene(**{**row, "objects": tuple(row["objects"])}) for row in rows]
        if len(scenes) != len(latents):
            raise ValueError(f"{len(latents)} latents of {len(scenes)} scenes")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelFileError(
            f"the shard cannot be read: {error}",
            field="latents",
            value=str(path),
            hint="Remove the file and run the latents recipe again.",
        ) from error
    return latents, scenes
