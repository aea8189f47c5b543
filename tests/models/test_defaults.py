"""How models draw when nothing is asked for, from their files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.defaults import downsampling, inpaints, latent_channels, read_defaults
from sfumato.models.files import locate
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_folder, tiny_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder(), tmp_path / "models" / "frogs"))


def edit(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


def test_what_configurations_say_of_latents(folder: Path) -> None:
    files = locate(folder)
    assert (downsampling(files), latent_channels(files), inpaints(files)) == (8, 4, False)
    edit(folder / "unet" / "config.json", in_channels=9)
    assert inpaints(locate(folder))


def test_reading_them_needs_no_weights(folder: Path) -> None:
    files = locate(folder)
    for network in files.networks:
        network.weights.unlink()
    assert read_defaults(files, name="frogs", digest="").width == 64


def test_defaults_come_from_the_folder(folder: Path) -> None:
    defaults = find_model(str(folder), tiny_settings()).defaults
    assert (defaults.width, defaults.height, defaults.multiple) == (64, 64, 8)
    assert (defaults.steps, defaults.sampler, defaults.guidance) == (4, "ddim", 3.0)
    assert defaults.max_steps == 1000
    assert "dpmpp_2m" in defaults.samplers
    (folder / "sfumato.json").unlink()
    plain = find_model(str(folder), tiny_settings()).defaults
    assert (plain.steps, plain.sampler, plain.guidance_rescale) == (20, "dpmpp_2m", 0.7)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(scheduler.read_text())
    assert config["prediction_type"] == "v_prediction"
    scheduler.write_text(json.dumps({**config, "rescale_betas_zero_snr": False}))
    assert find_model(str(folder), tiny_settings()).defaults.guidance_rescale == 0.0


def test_a_model_says_what_fast_means(folder: Path) -> None:
    plain = find_model(str(folder), tiny_settings()).defaults
    assert (plain.fast_cache_interval, plain.fast_guidance_start, plain.fast_guidance_stop) == (3, 0.0, 1.0)
    edit(folder / "sfumato.json", fast_cache_interval=2, fast_guidance_start=0.25, fast_guidance_stop=1)
    defaults = find_model(str(folder), tiny_settings()).defaults
    resolved = resolve(Recipe(fast=True, parts=(TextPart(prompt="a frog"),)), defaults)
    assert resolved.text is not None
    assert resolved.cache_interval == 2
    assert (resolved.text.guidance_start, resolved.text.guidance_stop) == (0.25, 1.0)
    slow = resolve(Recipe(parts=(TextPart(prompt="a frog"),)), defaults)
    assert slow.text is not None
    assert (slow.cache_interval, slow.text.guidance_start) == (1, 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": "20"},
        {"steps": True},
        {"guidance": -1},
        {"guidance": float("nan")},
        {"sampler": "nosuch"},
        {"spacing": 3},
        {"steps": 0},
        {"steps": 1001},
        {"guidance": 1000},
        {"guidance_rescale": 3},
        {"multiple": 0},
        {"multiple": 12},
        {"max_size": 0},
        {"min_size": 65},
        {"width": 100_000},
        {"height": 8, "min_size": 16},
        {"multiple": 80, "min_size": 60, "max_size": 70},
        {"fast_cache_interval": 0},
        {"fast_cache_interval": 17},
        {"fast_cache_interval": 2.5},
        {"fast_guidance_start": -0.1},
        {"fast_guidance_stop": 1.1},
        {"fast_guidance_stop": "end"},
        {"fast_guidance_start": 0.6, "fast_guidance_stop": 0.4},
    ],
)
def test_defaults_that_make_no_sense_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder / "sfumato.json", **changes)
    with pytest.raises(ModelFileError, match=r"sfumato\.json") as caught:
        find_model(str(folder), tiny_settings())
    assert caught.value.value == str(folder / "sfumato.json")
    assert "\n" not in str(caught.value)


def test_a_model_says_how_it_mixes(folder: Path) -> None:
    mixed = Recipe(
        parts=(TextPart(prompt="a frog"), MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.5),)))
    )
    for told in ("branches", "embeddings"):
        edit(folder / "sfumato.json", mix_mode=told)
        part = resolve(mixed, find_model(str(folder), tiny_settings()).defaults).mix
        assert part is not None
        assert part.mode == told
    edit(folder / "sfumato.json", mix_mode="stirred")
    with pytest.raises(ModelFileError, match="names an unknown mix_mode, 'stirred'"):
        find_model(str(folder), tiny_settings())
