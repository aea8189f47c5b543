"""Desks with the bundled judge, the same ones all through a test run."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.evaluation.edits.desk import Desk
from sfumato.evaluation.run import find_judge
from sfumato.models.load import find_model, load
from sfumato.recipe.image import Recipe
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import Scene
from sfumato.settings import Settings
from tiny_models import tiny_bundle, tiny_folder, tiny_settings


@functools.cache
def desk() -> Desk:
    """Return the desk. It has no data folder: nothing is written."""
    settings = Settings(data_dir=Path("/nonexistent"), backend="openvino", device="cpu", dtype="float32")
    found = find_model("bundled", settings)
    judge, _, _ = find_judge(None)
    return Desk(Recipe(steps=2), 1, settings, found.files, load(found, settings), find_font(), judge)


@functools.cache
def tiny_desk() -> Desk:
    """Return a desk with the tiny model, which draws noise, and quickly."""
    settings = tiny_settings()
    files = find_model(str(tiny_folder()), settings).files
    return replace(desk(), settings=settings, files=files, bundle=tiny_bundle())


def rendered(scene: Scene, number: int = 0) -> NDArray[np.uint8]:
    """Return a scene as the world draws it."""
    return desk().rendered(scene, desk().rng("tests", number))
