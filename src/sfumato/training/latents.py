"""The latent cache: scenes drawn and encoded once, in shards that appear only when they are complete."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfumato.errors import ModelFileError
from sfumato.recipe.train import LatentStage, SceneData
from sfumato.scenes import scene
from sfumato.training.autoencoder import scene_font, scene_mix, to_tensor


@dataclass(frozen=True)
class CacheStep:
    """One shard done: how many of how many pictures are encoded."""

    done: int
    total: int


@dataclass(frozen=True)
class LatentCache:
    """Encoded scenes in memory: `latents (N,C,h,w)` float16 and what each shows."""

    latents: Tensor
    scenes: tuple[scene.Scene, ...]


def encode(
    stage: LatentStage, data: SceneData, *, seed: int, vae: AutoencoderKL, folder: Path
) -> Iterator[CacheStep]:
    """Fill `folder` with shards, skipping those already there. Raises `ModelFileError` when a latent is not finite."""
    folder.mkdir(parents=True, exist_ok=True)
    mix, font = scene_mix(data), scene_font(data)
    device = next(vae.parameters()).device
    for begin in range(0, stage.count, stage.shard):
        size = min(stage.shard, stage.count - begin)
        path = folder / f"shard-{begin:08d}.safetensors"
        if not path.exists():
            first = stage.first + begin
            parts: list[Tensor] = []
            scenes: list[scene.Scene] = []
            for start in range(first, first + size, 16):
                batch = [
                    scene.example(seed, index, mix, font, data.size)
                    for index in range(start, min(start + 16, first + size))
                ]
                scenes += [shown for _, _, shown in batch]
                with torch.no_grad():
                    mean = vae.encode(
                        to_tensor([picture for picture, _, _ in batch]).to(device)
                    ).latent_dist.mean
                parts.append(mean.half().cpu())
            latents = torch.cat(parts)
            if not bool(torch.isfinite(latents).all()):
                raise ModelFileError("the autoencoder makes latents that are not finite", field="autoencoder")
            draft = path.with_suffix(".draft")
            save_file(
                {"latents": latents},
                draft,
                metadata={"scenes": json.dumps([asdict(shown) for shown in scenes])},
            )
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.rename(path)
        yield CacheStep(begin + size, stage.count)


def _scene(row: dict[str, object]) -> scene.Scene:
    return scene.Scene(**{**row, "objects": tuple(row["objects"])})  # type: ignore[arg-type]


def load(folders: list[Path]) -> LatentCache:
    """Read every shard of the given cache folders. Raises `ModelFileError` for an empty folder or a damaged shard."""
    parts: list[Tensor] = []
    scenes: list[scene.Scene] = []
    for folder in folders:
        shards = sorted(folder.glob("shard-*.safetensors"))
        if not shards:
            hint = "run the latents recipe first"
            raise ModelFileError("no latent cache here", field="latents", value=str(folder), hint=hint)
        for path in shards:
            try:
                parts.append(load_file(path)["latents"])
                with safe_open(path, "pt") as file:
                    scenes += [_scene(row) for row in json.loads(file.metadata()["scenes"])]
            except (OSError, SafetensorError, KeyError, ValueError) as error:
                hint = "remove the file and run the latents recipe again"
                raise ModelFileError(
                    f"the shard cannot be read: {error}", field=str(path), hint=hint
                ) from error
    return LatentCache(torch.cat(parts), tuple(scenes))
