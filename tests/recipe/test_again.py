import json

import pytest
from hypothesis import given

from recipe.strategies import ADAPTERS, CAT, CONTROLS, DEFAULTS, MASK, SOURCES, quick, resolveds
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.codec import from_json, from_toml, to_json, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import ExtendPart, ImagePart, MaskPart, Region, RegionsPart, TextPart
from sfumato.recipe.resolve import resolve


def drawn(*parts, **fields) -> Resolved:
    return resolve(
        Recipe(seed=3, parts=parts, **fields), DEFAULTS, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS
    )


@quick
@given(resolveds())
def test_one_picture_alone(resolved):
    alone = single(resolved)
    assert alone.picture_seed == resolved.picture_seed
    assert (alone.count, alone.index) == (1, 0)
    if resolved.variation is None:
        assert alone.parts == resolved.parts
    else:
        assert alone.variation is not None
        assert alone.variation.seed == resolved.variation.seed + resolved.index
    assert single(alone) == alone


@quick
@given(resolveds())
def test_a_picture_can_be_drawn_again_by_way_of_a_file(resolved):
    asked = from_toml(to_toml(recipe_of(single(resolved))), Recipe)
    assert resolve(asked, DEFAULTS, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS) == single(resolved)


def test_pictures_are_asked_for_by_their_digest():
    asked = recipe_of(
        drawn(
            RegionsPart(regions=(Region(prompt="a", source="over/there/mask.png"),)),
            ImagePart(source="cat.png", start_step=5),
            MaskPart(source="over/there/mask.png", feather=3),
        )
    )
    name = f"sha256:{MASK.sha256}/{MASK.name}"
    assert asked.image == ImagePart(source=f"sha256:{CAT.sha256}/cat.png", strength=0.75)
    assert asked.mask == MaskPart(source=name, feather=3, fill="original")
    assert asked.regions == RegionsPart(regions=(Region(prompt="a", source=name),))


def test_places_come_back_as_they_are():
    asked = recipe_of(drawn(ImagePart(source="cat.png"), MaskPart(area="0.5,0,0.5,1", grow=-2)))
    assert asked.mask == MaskPart(area="50,0,50x60", grow=-2, fill="noise")
    asked = recipe_of(drawn(ImagePart(source="cat.png"), MaskPart(alpha=True, extent="masked")))
    assert asked.mask == MaskPart(alpha=True, extent="masked", fill="noise")
    asked = recipe_of(drawn(ImagePart(source="cat.png", fit="fill")))
    assert asked.image is not None
    assert (asked.image.fit, asked.image.strength) == ("fill", 0.75)
    extend = ExtendPart(left=3, fill="blur")
    assert recipe_of(drawn(ImagePart(source="cat.png"), extend)).extend == extend.model_copy(
        update={"reach": 0}
    )
    frog = Region(prompt="a frog", area="16,0,16x32", ratio=0.5)
    asked = recipe_of(drawn(TextPart(prompt=""), RegionsPart(regions=(frog,), feather=0.3), width=64))
    assert asked.regions == RegionsPart(
        regions=(Region(prompt="a frog", area="0.25,0.0,0.25,0.25", ratio=0.5),), feather=0.3
    )


@pytest.mark.parametrize("number", [1e-5, 1e-16, 5e-324, 0.1 + 0.2, 1.0])
def test_whatever_a_picture_says_can_be_asked_for(number):
    """Metadata is written by anybody; what is read as a resolved recipe must not fail later."""
    resolved = drawn(RegionsPart(regions=(Region(prompt="a", area="all"),)), width=64, height=64)
    fields = json.loads(to_json(resolved))
    fields["parts"][1]["regions"][0]["box"] = [0.0, 0.0, number, 1.0]
    read = from_json(json.dumps(fields), Resolved)
    assert resolve(recipe_of(read), DEFAULTS, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS) == read
