"""Models that are edited by instructions are told from the others by their files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from family_models import family_folder
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import ModelFileError
from sfumato.imaging.inputs import read_inputs
from sfumato.models.files import locate
from sfumato.models.instructed import Shown, instructed, shown
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import ImagePart, TextPart
from sfumato.recipe.resolve import resolve
from tiny_families import FAMILIES, write_family, write_original
from tiny_instructed import FIRST, LARGE, instructed_folder, picture
from tiny_models import tiny_folder, tiny_settings


@pytest.mark.parametrize(("name", "guidance"), [(FIRST, 7.5), (LARGE, 5.0)])
def test_the_family_is_told_from_the_files(name: str, guidance: float) -> None:
    files = locate(instructed_folder(name))
    assert instructed(files)
    assert shown(files) == Shown((1 / 0.5,), (0.0,))  # the tiny autoencoder's factor, taken back
    defaults = find_model(str(instructed_folder(name)), tiny_settings()).defaults
    assert defaults.instructed
    assert (defaults.guidance, defaults.steps, defaults.width, defaults.height) == (guidance, 20, 64, 64)


def test_other_models_are_shown_nothing() -> None:
    for folder in (tiny_folder(), family_folder("vega")):
        files = locate(folder)
        assert not instructed(files)
        assert shown(files) is None
        assert not find_model(str(folder), tiny_settings()).defaults.instructed


def changed(tmp_path: Path, file: str, **changes: Any) -> Path:
    folder = shutil.copytree(instructed_folder(FIRST), tmp_path / "model")
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_latents_keep_their_factor_where_the_model_was_taught_so(tmp_path: Path) -> None:
    assert shown(locate(changed(tmp_path, "model_index.json", is_cosxl_edit=True))) == Shown((1.0,), (0.0,))


def test_another_autoencoder_does_not_change_what_the_model_is_shown(tmp_path: Path) -> None:
    other = locate(changed(tmp_path, "vae/config.json", scaling_factor=0.25)).vae
    files = locate(instructed_folder(FIRST))
    assert shown(replace(files, vae=other, own_vae=files.vae)) == shown(files)


def test_latents_of_edm_have_unit_variance_here_and_another_there(tmp_path: Path) -> None:
    scheduler = {"_class_name": "EDMEulerScheduler", "sigma_data": 0.5}
    one = shown(locate(changed(tmp_path, "scheduler/scheduler_config.json", **scheduler)))
    assert one == Shown((0.5 / 0.5,), (0.0,))


def test_latents_are_shown_as_the_autoencoder_makes_them(tmp_path: Path) -> None:
    made = np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32)
    one = shown(locate(changed(tmp_path, "vae/config.json", scaling_factor=0.25, shift_factor=0.5)))
    assert one is not None
    np.testing.assert_allclose(one.of((made - 0.5) * 0.25, np.asarray), made, rtol=1e-5)
    spread = {"latents_mean": [1.0, 2.0, 3.0, 4.0], "latents_std": [1.0, 0.5, 2.0, 4.0]}
    path = tmp_path / "model" / "vae" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "shift_factor": None, **spread}))
    one = shown(locate(tmp_path / "model"))
    assert one is not None
    mean, std = (np.asarray(numbers).reshape(1, 4, 1, 1) for numbers in spread.values())
    np.testing.assert_allclose(one.of((made - mean) / std * 0.25, np.asarray), made, atol=1e-5)


@pytest.mark.parametrize("channels", [7, 10, "eight", None])
def test_other_numbers_of_channels_are_refused(channels: object, tmp_path: Path) -> None:
    folder = changed(tmp_path, "unet/config.json", in_channels=channels)
    with pytest.raises(ModelFileError, match="channels"):
        find_model(str(folder), tiny_settings())


@pytest.mark.parametrize("name", ["sd15-pix2pix", "sdxl-pix2pix"])
def test_single_files_draw_as_their_folders_do(name: str, tmp_path: Path) -> None:
    folder = write_family(tmp_path / name, FAMILIES[name])
    single = write_original(folder, tmp_path / f"{name}.safetensors", FAMILIES[name])
    parts = TextPart(prompt="make it night"), ImagePart(source=picture())
    recipe = Recipe(seed=3, parts=parts, width=64, height=64, steps=2)
    inputs = read_inputs(recipe, tiny_settings())
    drawn = []
    for path in (folder, single):
        bundle = load_bundle(str(path), tiny_settings())
        run = resolve(recipe, bundle.defaults, sources=inputs.facts)
        assert run.image_guidance == 1.5
        events = draw(run, bundle, inputs=inputs)
        drawn.append(next(event.pixels for event in events if isinstance(event, Picture)))
    assert drawn[0].std() > 5
    np.testing.assert_array_equal(*drawn)
