"""Upscaling models are told from the others by their files; damaged ones are refused, nothing loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import DDPMScheduler

from sfumato.errors import InputError, ModelFileError
from sfumato.models.files import locate
from sfumato.models.load import find_model, load
from sfumato.models.low_res import low_res_noise, upscales
from sfumato.settings import Settings
from tiny_low_res import tiny_upscaler
from tiny_models import tiny_folder, tiny_settings


def test_the_family_is_told_from_the_files() -> None:
    assert upscales(locate(tiny_upscaler()))
    assert not upscales(locate(tiny_folder()))
    assert low_res_noise(locate(tiny_folder())) is None
    defaults = find_model(str(tiny_upscaler()), tiny_settings()).defaults
    assert (defaults.upscales, defaults.max_noise_level, defaults.max_size) == (4, 350, 1024)
    assert (defaults.guidance, defaults.guidance_rescale) == (9.0, 0.0)
    assert find_model(str(tiny_folder()), tiny_settings()).defaults.upscales == 0


def test_noise_is_that_of_its_own_schedule() -> None:
    noise = low_res_noise(locate(tiny_upscaler()))
    assert noise is not None
    table = DDPMScheduler.from_pretrained(tiny_upscaler() / "low_res_scheduler").alphas_cumprod.numpy()
    np.testing.assert_allclose(noise.alphas_cumprod, table, rtol=1e-5)
    kept, added = noise.shares(20)
    assert (kept**2, added**2) == pytest.approx((table[20], 1 - table[20]), rel=1e-5)


def test_how_noise_is_put_on_the_picture_is_part_of_the_model(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_upscaler(), tmp_path / "model")
    before = locate(folder).digest()
    change(folder / "low_res_scheduler/scheduler_config.json", beta_end=0.03)
    assert locate(folder).digest() != before


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("model_index.json", {"low_res_scheduler": None}, "names no low_res_scheduler"),
        ("model_index.json", {"max_noise_level": "many"}, "holds no usable max_noise_level ('many')"),
        (
            "low_res_scheduler/scheduler_config.json",
            {"beta_schedule": "x"},
            "low_res_scheduler cannot be used",
        ),
        ("unet/config.json", {"num_class_embeds": "many"}, "holds no usable num_class_embeds"),
        ("unet/config.json", {"num_class_embeds": None}, "disagrees with vae/config.json on channels"),
        ("unet/config.json", {"class_embed_type": "timestep"}, "on channels"),
    ],
)
def test_damaged_folders_are_one_line(file: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_upscaler(), tmp_path / "model")
    change(folder / file, **changes)
    with pytest.raises(ModelFileError) as caught:
        find_model(str(folder), tiny_settings())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_scheduler_is_one_line(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_upscaler(), tmp_path / "model")
    shutil.rmtree(folder / "low_res_scheduler")
    with pytest.raises(ModelFileError, match=r"low_res_scheduler/scheduler_config.json is missing"):
        find_model(str(folder), tiny_settings())


def test_the_compiled_backend_says_that_it_cannot() -> None:
    settings = Settings(data_dir=Path("nowhere"), backend="openvino", device="cpu")
    with pytest.raises(
        InputError, match="backend: cannot draw this model: its unet has num_class_embeds 1000"
    ):
        load(find_model(str(tiny_upscaler()), settings), settings)


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
