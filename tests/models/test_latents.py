"""Latents that are not scaled by one number: pictures against diffusers, and what is refused."""

import json
import math
import shutil
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from family_models import BOTH, XL, ZEROS, Family, write_family
from sfumato.engine.events import Picture
from sfumato.engine.run import run
from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from sfumato.models.latents import in_unit_variance, scaling_of
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from tiny_models import tiny_folder, tiny_settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLAYGROUND = {"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5}
COSXL = {
    "_class_name": "EDMEulerScheduler",
    "sigma_data": 1.0,
    "sigma_max": 120.0,
    "prediction_type": "v_prediction",
}
CHANNELS = {
    "scaling_factor": 0.5,
    "latents_mean": [-0.2, 0.3, -0.1, 0.25],
    "latents_std": [2.0, 1.5, 1.75, 1.25],
}


def write_edm(folder: Path, scheduler: dict[str, Any], vae: dict[str, Any]) -> Path:
    """Write a tiny model of the shape of XL with this schedule, and an autoencoder that says this."""
    write_family(folder, Family(XL, scheduler, BOTH, ZEROS))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(scheduler))  # without what belongs to other schedules
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **vae}))
    return folder


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    squares = float(np.square(one.astype(float) - other).mean())
    return math.inf if squares == 0 else 10 * math.log10(255**2 / squares)


def drawn(folder: Path, **fields: Any) -> NDArray[np.uint8]:
    text = TextPart(prompt="a frog on a beach")
    recipe = Recipe(model=str(folder), seed=7, parts=(text,), **fields)
    with closing(run(recipe, tiny_settings())) as events:
        return next(event.pixels for event in events if isinstance(event, Picture))


def stock(folder: Path, kind: Any = diffusers.DiffusionPipeline, **call: Any) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe: Any = kind.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        "a frog on a beach",
        generator=torch.Generator().manual_seed(7),
        output_type="np",
        **call,
    )
    return (made.images[0] * 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("scheduler", "sampler"), [(PLAYGROUND, "dpmpp_2m"), (COSXL, "euler")], ids=["playground", "cosxl"]
)
def test_pictures_are_those_of_diffusers(scheduler: dict[str, Any], sampler: str, tmp_path: Path) -> None:
    folder = write_edm(tmp_path / "edm", scheduler, CHANNELS)
    ours = drawn(folder, steps=8, guidance=3.0, sampler=sampler, spacing="karras")
    theirs = stock(folder, num_inference_steps=8, guidance_scale=3.0, height=64, width=64)
    assert psnr(ours, theirs) >= 45, psnr(ours, theirs)


def test_the_model_says_how_it_is_drawn(tmp_path: Path) -> None:
    defaults = find_model(str(write_edm(tmp_path / "edm", PLAYGROUND, CHANNELS)), tiny_settings()).defaults
    assert (defaults.sampler, defaults.spacing, defaults.guidance) == ("dpmpp_2m", "karras", 3.0)
    assert defaults.guidance_rescale == 0.0


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_latents_go_both_ways_by_channel(backend: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder(), folder)
    settings = tiny_settings()
    if backend == "openvino":
        settings = type(settings)(data_dir=tmp_path / "data", backend="openvino", dtype="float32")
    random = np.random.default_rng(0)
    pixels = random.uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)
    plain = load_bundle(str(folder), settings).backend
    config = folder / "vae" / "config.json"
    before = json.loads(config.read_text())
    config.write_text(json.dumps({**before, **CHANNELS}))
    changed = load_bundle(str(folder), settings).backend
    raw = plain.to_numpy(plain.encode_image(pixels)) / before["scaling_factor"]
    mean, std = (np.reshape(CHANNELS[key], (1, 4, 1, 1)) for key in ("latents_mean", "latents_std"))
    latents = (raw - mean) * 0.5 / std
    np.testing.assert_allclose(changed.to_numpy(changed.encode_image(pixels)), latents, atol=1e-4)
    decoded = plain.decode(plain.asarray((raw * before["scaling_factor"]).astype(np.float32)))
    again = changed.decode(changed.asarray(latents.astype(np.float32)))
    np.testing.assert_allclose(again, decoded, atol=1e-3)


def test_one_factor_stays_a_number() -> None:
    assert scaling_of({}) == (0.18215, 0.0)
    assert scaling_of({"scaling_factor": 0.5, "shift_factor": 0.1, "latents_mean": None}) == (0.5, 0.1)
    files = locate(tiny_folder())
    assert in_unit_variance(files) is files


@pytest.mark.parametrize(
    "changes",
    [
        {"latents_mean": [0.0] * 3},
        {"latents_std": [1.0, 1.0, 0.0, 1.0]},
        {"latents_std": None},
        {"latents_mean": "none"},
        {"latents_std": [1.0, 1.0, 1.0, math.inf]},
        {"latents_std": [True] * 4},
    ],
)
def test_what_makes_no_scale_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder(), folder)
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **CHANNELS, **changes}))
    with pytest.raises(ModelFileError, match="holds no usable latents_"):
        find_model(str(folder), tiny_settings())
