"""What recipes name, gathered: one place for every front end, and what a recipe may open."""

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.engine.gathering import DISTRUSTED, NAMES_ONLY, TRUSTED, gather
from sfumato.engine.run import run
from sfumato.errors import PictureError, RecipeError
from sfumato.models.load import FoundModel, find_model
from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter
from tiny_controlnets import write_controlnet
from tiny_models import tiny_folder, tiny_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_adapter(tmp_path / "loras" / "one.safetensors", kohya_lora(seed=1, size=0.2))
    return tiny_settings(tmp_path)


@pytest.fixture
def found(settings: Settings) -> FoundModel:
    return find_model(str(tiny_folder()), settings)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
    return path


def lora(name: str) -> Recipe:
    return Recipe(parts=(AdaptersPart(adapters=(Adapter(name=name),)),))


def test_a_plain_recipe_names_nothing(found: FoundModel, settings: Settings) -> None:
    gathered = gather(Recipe(seed=1), found, settings)
    assert (gathered.adapters, dict(gathered.controls), dict(gathered.inputs.facts)) == (None, {}, {})
    run = gathered.resolved(Recipe(seed=1), settings)
    assert gathered.load(run, settings).adapters is None


def test_everything_a_recipe_names_is_there_to_draw(
    found: FoundModel, settings: Settings, photo: Path, tmp_path: Path
) -> None:
    write_controlnet(tmp_path / "edges")
    recipe = recipe_from_mapping(
        {
            "seed": 1,
            "parts": [
                {"kind": "text", "prompt": "a frog <lora:one:0.5>"},
                {"kind": "control", "controls": [{"model": str(tmp_path / "edges"), "source": str(photo)}]},
            ],
        }
    )
    gathered = gather(recipe, found, settings)
    run = gathered.resolved(recipe, settings)
    assert run.control is not None
    assert run.control.controls[0].digest
    assert run.adapters is not None
    assert [one.name for one in run.adapters.adapters] == ["one"]
    bundle = gathered.load(run, settings)
    assert bundle.adapters == run.adapters


def test_what_came_out_of_a_picture_opens_no_paths(
    found: FoundModel, settings: Settings, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.safetensors"
    shutil.copy(tmp_path / "loras" / "one.safetensors", elsewhere)
    recipe = lora(str(elsewhere))
    assert gather(recipe, found, settings, trust=TRUSTED).adapters is not None
    with pytest.raises(RecipeError, match="lora: "):
        gather(recipe, found, settings, trust=DISTRUSTED)
    assert gather(lora("one"), found, settings, trust=DISTRUSTED).adapters is not None


def test_what_visitors_send_is_held_to_the_library(
    found: FoundModel, settings: Settings, tmp_path: Path
) -> None:
    elsewhere = shutil.copy(tmp_path / "loras" / "one.safetensors", tmp_path / "elsewhere.safetensors")
    with pytest.raises(RecipeError, match="lora: "):
        gather(lora(str(elsewhere)), found, settings, trust=NAMES_ONLY)
    with (
        pytest.raises(RecipeError, match="model: "),
        closing(run(Recipe(model=str(tiny_folder())), settings, trust=NAMES_ONLY)) as events,
    ):
        next(events)
    assert gather(lora("one"), found, settings, trust=NAMES_ONLY).adapters is not None


def test_pictures_read_before_are_not_read_again(found: FoundModel, settings: Settings, photo: Path) -> None:
    recipe = recipe_from_mapping({"parts": [{"kind": "image", "source": str(photo)}]})
    first = gather(recipe, found, settings)
    photo.unlink()
    with pytest.raises(PictureError):
        gather(recipe, found, settings)
    assert gather(recipe, found, settings, inputs=first.inputs).inputs is first.inputs


def test_a_mask_that_keeps_everything_is_refused(
    found: FoundModel, settings: Settings, photo: Path, tmp_path: Path
) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "mask.png")
    parts = [{"kind": "image", "source": str(photo)}, {"kind": "mask", "source": str(tmp_path / "mask.png")}]
    recipe = recipe_from_mapping({"parts": parts})
    with pytest.raises(PictureError, match="mask"):
        gather(recipe, found, settings).resolved(recipe, settings)
