"""The part that makes a small picture larger."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.parts import ImagePart
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.recipe.sources import beside, sources_of


def test_it_names_a_picture() -> None:
    recipe = recipe_from_mapping({"parts": [{"kind": "low_res", "source": "a.png"}]})
    assert recipe.low_res == LowResPart(source="a.png", noise_level=None)
    assert sources_of(recipe) == {"a.png": "low-res"}
    assert beside(recipe, Path("there")).low_res == LowResPart(source="there/a.png")


@pytest.mark.parametrize("level", [-1, 1000, 2.5, True])
def test_noise_levels_are_steps_of_a_schedule(level: object) -> None:
    with pytest.raises(RecipeError, match="noise_level"):
        recipe_from_mapping({"parts": [{"kind": "low_res", "source": "a.png", "noise_level": level}]})


def test_no_other_part_that_begins_with_a_picture_goes_with_it() -> None:
    with pytest.raises(ValidationError, match=r"\(low_res\) does not go together with a part image"):
        Recipe(parts=(ImagePart(source="a.png"), LowResPart(source="a.png")))
