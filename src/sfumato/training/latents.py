"""The latent cache: scenes drawn and encoded once, in shards that appear only when they are complete."""

import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
    is refused, and raising `stage.count` only adds to one. The facts of the cache say how many there are, and
    say it only while all of them are there. Raises `RecipeError` for a cache of another digest, and
    `ModelFileError` for a damaged shard or when a latent is not finite.
    """
    _claim(folder, digest)
    for begin in range(0, stage.count, stage.shard):
        size = min(stage.shard, stage.count - begin)
        path = folder / f"shard-{begin:08d}.safetensors"
        # The last shard of a smaller count is short: it is made again.
        if not path.exists() or len(_read(path)[1]) < size:
            _write_facts(folder, {"recipe": digest})
            latents, scenes = _encoded(stage.first + begin, size, data, seed, vae)
            if not bool(torch.isfinite(latents).all()):
                raise ModelFileError("the autoencoder makes latents that are not finite", field="autoencoder")
            draft = path.with_suffix(".draft")
            save_file({"latents": latents}, draft, {"scenes": json.dumps([asdict(s) for s in scenes])})
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.rename(path)
        if begin + size == stage.count:
            _write_facts(folder, {"recipe": digest, "count": stage.count})
        yield CacheStep(begin + size, stage.count)


def load(folders: list[Path]) -> LatentCache:
    """Read the given cache folders, of each as many latents as its recipe asks for. Raises `ModelFileError`
    for a folder without a cache, one that is not complete, or a damaged shard."""
    parts: list[Tensor] = []
    scenes: list[scene.Scene] = []
    for folder in folders:
        missing = facts(folder)["count"]
        for path in sorted(folder.glob("shard-*.safetensors")):
            latents, shown = _read(path)
            # A cache that held more once keeps its shards.
            parts.append(latents[:missing])
            scenes += shown[:missing]
            missing -= len(parts[-1])
            if not missing:
                break
        if missing:
            raise _incomplete(folder)
    return LatentCache(torch.cat(parts), tuple(scenes))


def facts(folder: Path) -> dict[str, Any]:
    """What decides the latents of a complete cache: the digest of its `recipe`, and their `count`. Raises
    `ModelFileError` for a folder without a cache, and for a cache that is not complete."""
    if not (folder / _FACTS).exists():
        hint = "Run the latents recipe first."
        raise ModelFileError("no latent cache here", field="latents", value=str(folder), hint=hint)
    found = _read_facts(folder)
    count = found.get("count")
    if not isinstance(count, int) or count < 1:
        raise _incomplete(folder)
    return {"recipe": found["recipe"], "count": count}


def _incomplete(folder: Path) -> ModelFileError:
    hint = "Run the latents recipe to its end first."
    return ModelFileError("the latent cache is not complete", field="latents", value=str(folder), hint=hint)


def _claim(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _FACTS).exists():
        _write_facts(folder, {"recipe": digest})
    if _read_facts(folder)["recipe"] != digest:
        hint = "Use another `name`, or remove the folder to start over."
        raise RecipeError("holds the latents of another recipe", field="name", value=folder.name, hint=hint)


def _write_facts(folder: Path, found: dict[str, Any]) -> None:
    draft = (folder / _FACTS).with_suffix(".draft")
    draft.write_text(json.dumps(found), encoding="utf-8")
    draft.rename(folder / _FACTS)


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / _FACTS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found["recipe"], str):
            raise ValueError("it names no recipe")
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Remove the folder to make the cache again."
        raise ModelFileError(
            f"the cache cannot be read: {error}", field="latents", value=str(path), hint=hint
        ) from error
    return found


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
