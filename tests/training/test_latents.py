"""The latent cache: complete shards only, continued exactly, and never mixed with another's."""

import json
import os
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors import safe_open
from safetensors.torch import save_file

from judged import needs_font
from sfumato.errors import ModelFileError, RecipeError
from sfumato.recipe.train import AutoencoderStage, LatentStage, SceneData
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import Scene, example
from sfumato.training.autoencoder import build, latent_mean, scene_mix, to_tensor
from sfumato.training.latents import CacheStep, encode, facts, load

DATA = SceneData(size=32)


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    stage = AutoencoderStage(stage="autoencoder", channels=(4, 8), latent_channels=2, groups=2, crop=16)
    return build(stage, 32).eval()


def fill(
    folder: Path, vae: AutoencoderKL, *, count: int = 5, stop: int = 99, digest: str = "a"
) -> list[CacheStep]:
    stage = LatentStage(stage="latents", autoencoder="autoencoder", count=count, shard=2, first=7)
    seen: list[CacheStep] = []
    steps = encode(stage, DATA, seed=3, vae=vae, folder=folder, digest=digest)
    for step in steps:
        seen.append(step)
        if len(seen) == stop:
            steps.close()
            break
    return seen


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@needs_font
def test_latents_and_scenes_are_the_stream_s(tmp_path: Path, vae: AutoencoderKL) -> None:
    assert fill(tmp_path, vae) == [CacheStep(2, 5), CacheStep(4, 5), CacheStep(5, 5)]
    cache = load([tmp_path])
    assert cache.latents.shape == (5, 2, 16, 16)
    assert cache.latents.dtype == torch.float16
    for index, shown in enumerate(cache.scenes):
        picture, _, expected = example(3, 7 + index, scene_mix(DATA), find_font(), 32)
        assert shown == expected
        latent = latent_mean(vae, to_tensor([picture]))[0]
        torch.testing.assert_close(cache.latents[index].float(), latent, atol=2e-3, rtol=2e-3)
    assert len(load([tmp_path, tmp_path]).scenes) == 10


@needs_font
def test_a_stopped_cache_is_continued_exactly(tmp_path: Path, vae: AutoencoderKL) -> None:
    fill(tmp_path / "whole", vae)
    fill(tmp_path / "stopped", vae, stop=1)
    (tmp_path / "stopped" / "shard-00000002.draft").write_bytes(b"half")
    written = (tmp_path / "stopped" / "shard-00000000.safetensors").stat().st_mtime_ns
    fill(tmp_path / "stopped", vae)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    assert (tmp_path / "stopped" / "shard-00000000.safetensors").stat().st_mtime_ns == written


@needs_font
def test_raising_the_count_adds_what_is_missing(tmp_path: Path, vae: AutoencoderKL) -> None:
    fill(tmp_path / "grown", vae, count=3)
    fill(tmp_path / "grown", vae, count=5)
    fill(tmp_path / "whole", vae, count=5)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


@needs_font
def test_another_recipe_s_cache_is_refused(tmp_path: Path, vae: AutoencoderKL) -> None:
    fill(tmp_path, vae, stop=1)
    before = contents(tmp_path)
    with pytest.raises(RecipeError, match="holds the latents of another recipe"):
        fill(tmp_path, vae, digest="b")
    assert contents(tmp_path) == before


@needs_font
def test_latents_that_are_not_finite_are_not_kept(tmp_path: Path, vae: AutoencoderKL) -> None:
    broken = build(AutoencoderStage(stage="autoencoder", channels=(4,), latent_channels=2, groups=2), 32)
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    with pytest.raises(ModelFileError, match="not finite"):
        fill(tmp_path, broken)
    assert os.listdir(tmp_path) == ["cache.json"]


def write_shard(path: Path, latents: int = 2, scenes: str | None = None) -> None:
    row = '{"objects": ["frog"], "background": "white"}'
    save_file(
        {"latents": torch.zeros(latents, 2, 4, 4).half()}, path, {"scenes": scenes or f"[{row}, {row}]"}
    )


def write_facts(folder: Path, **facts: object) -> None:
    (folder / "cache.json").write_text(json.dumps({"recipe": "a", **facts}))


def test_a_shard_can_be_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000000.safetensors")
    write_facts(tmp_path, count=2)
    assert load([tmp_path]).scenes == (Scene(("frog",)),) * 2
    assert facts(tmp_path) == {"recipe": "a", "count": 2}


def test_a_cache_has_as_many_latents_as_its_facts_say(tmp_path: Path) -> None:
    for begin in (0, 2, 4):
        write_shard(tmp_path / f"shard-{begin:08d}.safetensors")
    write_facts(tmp_path, count=3)
    cache = load([tmp_path])
    assert (len(cache.latents), len(cache.scenes)) == (3, 3)
    write_facts(tmp_path, count=6)
    assert len(load([tmp_path]).scenes) == 6


@pytest.mark.parametrize("count", [None, 0, "6", 7])
def test_half_a_cache_is_refused(tmp_path: Path, count: object) -> None:
    for begin in (0, 2, 4):
        write_shard(tmp_path / f"shard-{begin:08d}.safetensors")
    write_facts(tmp_path, count=count)
    with pytest.raises(ModelFileError, match=r"not complete .* Run the latents recipe to its end first"):
        load([tmp_path])


@needs_font
def test_a_cache_is_complete_when_its_last_shard_is(tmp_path: Path, vae: AutoencoderKL) -> None:
    fill(tmp_path, vae, stop=2)
    with pytest.raises(ModelFileError, match="not complete"):
        load([tmp_path])
    fill(tmp_path, vae, stop=3)
    assert len(load([tmp_path]).scenes) == facts(tmp_path)["count"] == 5
    fill(tmp_path, vae, count=9, stop=4)
    with pytest.raises(ModelFileError, match="not complete"):
        load([tmp_path])
    fill(tmp_path, vae, count=4)
    assert len(load([tmp_path]).scenes) == 4


@pytest.mark.parametrize("damage", ["truncated", "counts", "json", "field", "table"])
def test_a_damaged_shard_says_what_to_do(tmp_path: Path, damage: str, vae: AutoencoderKL) -> None:
    path = tmp_path / "shard-00000000.safetensors"
    if damage == "truncated":
        write_shard(path)
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "counts":
        write_shard(path, latents=1)
    else:
        rows = {"json": "[", "field": '[{"objects": ["frog"], "mood": "blue"}]', "table": "[1, 2]"}
        write_shard(path, scenes=rows[damage])
    write_facts(tmp_path, count=2)
    with pytest.raises(ModelFileError, match="Remove the file and run the latents recipe again"):
        load([tmp_path])
    with pytest.raises(ModelFileError, match="the shard cannot be read"):
        fill(tmp_path, vae)


def test_no_shards_and_no_facts_are_reported(tmp_path: Path, vae: AutoencoderKL) -> None:
    with pytest.raises(ModelFileError, match="no latent cache here"):
        load([tmp_path])
    (tmp_path / "cache.json").write_text("[]")
    with pytest.raises(ModelFileError, match="the cache cannot be read"):
        fill(tmp_path, vae)


@needs_font
def test_shards_are_plain_safetensors(tmp_path: Path, vae: AutoencoderKL) -> None:
    fill(tmp_path, vae, count=2)
    with safe_open(tmp_path / "shard-00000000.safetensors", "pt") as file:
        assert list(file.keys()) == ["latents"]
        assert set(file.metadata()) == {"scenes"}
