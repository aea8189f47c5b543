"""Chips of sizes: the model's own first, and every one drawn as it is."""

import pytest

from sfumato.errors import RecipeError
from sfumato.models.load import find_model
from sfumato.recipe.hires import HiresPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.serving.studio.forms import size_of
from sfumato.serving.studio.sizes import larger_of, sizes_of
from tiny_models import tiny_folder, tiny_settings

TINY = find_model("tiny", tiny_settings(tiny_folder().parent)).defaults
BUNDLED = find_model("bundled", tiny_settings()).defaults


def test_the_bundled_model_has_three_shapes() -> None:
    assert sizes_of(BUNDLED) == {
        "Square 128 x 128": (128, 128),
        "Wide 160 x 104": (160, 104),
        "Tall 104 x 160": (104, 160),
    }


@pytest.mark.parametrize("defaults", [TINY, BUNDLED], ids=["tiny", "bundled"])
def test_every_size_is_one_that_the_model_draws(defaults: ModelDefaults) -> None:
    sizes = sizes_of(defaults)
    assert next(iter(sizes.values())) == (defaults.width, defaults.height)
    assert len(set(sizes.values())) == len(sizes)
    for name, size in sizes.items():
        assert size_of(name) == size
        for side in size:
            assert side % defaults.multiple == 0
            assert defaults.min_size <= side <= defaults.max_size


def test_a_larger_picture_is_as_large_as_it_is_drawn() -> None:
    wide = Recipe(width=160, height=104, parts=(TextPart(prompt="a frog"),))
    assert larger_of(resolve(wide, BUNDLED), 2, BUNDLED) == (320, 208)
    # Once more: what is drawn then is the same recipe at three times its size.
    once = wide.model_copy(update={"parts": (*wide.parts, HiresPart(scale=1.5))})
    thrice = wide.model_copy(update={"parts": (*wide.parts, HiresPart(scale=3))})
    hires = resolve(thrice, BUNDLED).hires
    assert hires is not None
    assert larger_of(resolve(once, BUNDLED), 2, BUNDLED) == hires.sizes[-1] == (480, 312)
    with pytest.raises(RecipeError, match="at most"):
        larger_of(resolve(wide, BUNDLED), 400, BUNDLED)
