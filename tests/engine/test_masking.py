"""Masks that cannot be used are found before a model is loaded."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.engine.masking import check_mask
from sfumato.engine.run import run
from sfumato.errors import PictureError
from sfumato.imaging.inputs import NO_INPUTS, read_inputs
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import ImagePart, MaskPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_folder, tiny_settings


def recipe(folder: Path, mask: np.ndarray, **changes: bool) -> Recipe:
    Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save(folder / "image.png")
    Image.fromarray(mask.astype(np.uint8)).save(folder / "mask.png")
    parts = (
        ImagePart(source=str(folder / "image.png")),
        MaskPart(source=str(folder / "mask.png"), **changes),
    )
    return Recipe(model=str(tiny_folder()), steps=1, parts=parts)


def checked(wanted: Recipe) -> None:
    inputs = read_inputs(wanted, tiny_settings())
    defaults = find_model(wanted.model, tiny_settings()).defaults
    check_mask(resolve(wanted, defaults, sources=inputs.facts), inputs)


def test_an_empty_mask_is_found(tmp_path: Path) -> None:
    nothing = np.zeros((16, 16))
    with pytest.raises(PictureError, match="mask: the mask is empty"):
        checked(recipe(tmp_path, nothing))
    checked(recipe(tmp_path, nothing, invert=True))
    with pytest.raises(PictureError, match="mask: the mask is empty"):
        checked(recipe(tmp_path, nothing + 255, invert=True))


def test_so_is_one_of_other_proportions(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="mask: its proportions are not those of the image"):
        checked(recipe(tmp_path, np.full((16, 8), 255)))


def test_no_mask_is_no_fault() -> None:
    defaults = find_model(str(tiny_folder()), tiny_settings()).defaults
    check_mask(resolve(Recipe(), defaults), NO_INPUTS)


def test_it_is_found_before_the_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loading(*_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("sfumato.engine.gathering.load", loading)
    with pytest.raises(PictureError, match="mask: the mask is empty"):
        list(run(recipe(tmp_path, np.zeros((16, 16))), tiny_settings()))
    with pytest.raises(AssertionError, match="the model was loaded"):
        list(run(recipe(tmp_path, np.full((16, 16), 255)), tiny_settings()))
