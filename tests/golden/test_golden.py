"""Pictures drawn by the bundled model stay what they were; `make golden` draws the references again.

Each recipe here has the picture it drew next to it. Another processor may round differently, so pictures are
compared by PSNR; a change anywhere on the way from prompt to pixels shows.
"""

import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sfumato.engine.events import Picture
from sfumato.engine.run import run
from sfumato.imaging.io import open_picture
from sfumato.recipe.codec import from_toml
from sfumato.recipe.image import Recipe
from sfumato.settings import Settings

RECIPES = sorted(Path(__file__).parent.glob("*.toml"))
MIN_PSNR = 40.0


def test_there_are_references() -> None:
    assert len(RECIPES) >= 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_picture_is_still_the_same(path: Path) -> None:
    settings = Settings.from_environment({**os.environ, "SFUMATO_DEVICE": "cpu", "SFUMATO_DTYPE": "float32"})
    recipe = from_toml(path.read_bytes(), Recipe)
    with closing(run(recipe, settings)) as events:
        (drawn,) = [event.pixels for event in events if isinstance(event, Picture)]
    reference = np.asarray(open_picture(path.with_suffix(".png"), settings.max_pixels))
    assert drawn.shape == reference.shape
    error = np.mean((drawn.astype(np.float64) - reference) ** 2)
    assert 10 * np.log10(255**2 / max(error, 1e-12)) >= MIN_PSNR
