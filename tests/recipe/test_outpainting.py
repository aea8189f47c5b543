"""How far an extension goes at a time, and how large what is drawn then is."""

import pytest

from recipe.strategies import DEFAULTS, SOURCES
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import to_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import ExtendPart, ImagePart, Part, Region, RegionsPart
from sfumato.recipe.resolve import resolve

CAT = ImagePart(source="cat.png")  # 100x60
SIZE = DEFAULTS.width, DEFAULTS.height
REGIONS = RegionsPart(regions=(Region(prompt="a frog", area="left"),))


def drawn(*parts: Part, **fields: object) -> Resolved:
    recipe = Recipe.model_validate({"seed": 3, **fields, "parts": (CAT, *parts)})
    return resolve(recipe, DEFAULTS, sources=SOURCES)


def reach(*parts: Part, **fields: object) -> int:
    resolved = drawn(*parts, **fields)
    assert resolved.extend is not None
    return resolved.extend.reach


def test_a_little_is_drawn_at_once_and_more_in_passes() -> None:
    assert reach(ExtendPart(left=25)) == 0
    wide = drawn(ExtendPart(left=2 * SIZE[0]))
    assert wide.extend is not None
    assert 0 < wide.extend.reach <= min(SIZE) // 4
    assert wide.width <= SIZE[0]


def test_it_is_a_quarter_of_the_side_that_it_goes_along() -> None:
    assert reach(ExtendPart(left=300)) == SIZE[0] // 4  # the picture is 60 high
    assert reach(ExtendPart(left=300, top=4)) == (60 + 4) // 4


def test_what_is_drawn_is_a_window() -> None:
    assert (drawn(ExtendPart(left=300)).width, drawn(ExtendPart(left=300)).height) == (SIZE[0], 64)
    small = drawn(ExtendPart(left=300, reach=16), width=96)
    assert (small.width, small.height) == (96, 64)


def test_it_can_be_said() -> None:
    assert reach(ExtendPart(left=2 * SIZE[0], reach=0)) == 0
    assert reach(ExtendPart(left=16, reach=8)) == 8
    with pytest.raises(RecipeError, match=r"outpaint-step: must be at most \d+, three quarters of what is"):
        drawn(ExtendPart(left=2 * SIZE[0], reach=SIZE[0]))
    assert reach(ExtendPart(left=2, reach=999)) == 999  # smaller than the window: one pass


def test_what_lies_on_the_whole_picture_is_drawn_at_once() -> None:
    far = ExtendPart(left=2 * SIZE[0])
    assert reach(far, REGIONS) == 0
    with pytest.raises(RecipeError, match="outpaint-step: is not possible with regions"):
        drawn(far.model_copy(update={"reach": 8}), REGIONS)


@pytest.mark.parametrize("fields", [{}, {"width": 107}, {"width": 64, "height": 64}])
@pytest.mark.parametrize("sides", [{"left": 300}, {"top": 77, "right": 91}, {"bottom": 400, "reach": 17}])
def test_again_means_the_same(sides: dict[str, int], fields: dict[str, int]) -> None:
    first = drawn(ExtendPart.model_validate(sides), **fields)
    assert resolve(recipe_of(first), DEFAULTS, sources=SOURCES_AGAIN) == first


def test_all_at_once_is_not_written() -> None:
    assert "reach" not in to_json(drawn(ExtendPart(left=8)))
    assert '"reach":4' in to_json(drawn(ExtendPart(left=8, reach=4)))
    old = Resolved.model_validate_json(to_json(drawn(ExtendPart(left=300, reach=0))))
    again = recipe_of(old).extend
    assert again is not None
    assert again.reach == 0


SOURCES_AGAIN = {
    **SOURCES,
    **{f"sha256:{facts.sha256}/{facts.name}": facts for facts in SOURCES.values()},
}
