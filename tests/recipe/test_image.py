import math

import pytest
from pydantic import ValidationError

from recipe.strategies import DEFAULTS
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import (
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Region,
    RegionsPart,
    TextPart,
)
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolved_parts import (
    ResolvedExtend,
    ResolvedImage,
    ResolvedMix,
    ResolvedRegion,
    ResolvedRegions,
    ResolvedText,
    Source,
)
from sfumato.recipe.values import MAX_SEED

IMAGE = {"kind": "image", "source": "cat.png"}
MIX = ResolvedMix(prompts=(MixPrompt(prompt="a", ratio=0.5),), ratio=0.5, mode="branches")

TEXT = ResolvedText(prompt="a", negative="", guidance_rescale=0.0, guidance_start=0.0, guidance_stop=1.0)
REGIONS = ResolvedRegions(
    regions=(ResolvedRegion(prompt="a", box=(0.0, 0.0, 0.5, 1.0), ratio=1.0),), feather=0.1
)
BEGUN = ResolvedImage(
    source=Source(sha256="a" * 64, name="cat.png"), strength=0.5, fit="crop", keep_colour=False
)
EXTEND = ResolvedExtend(left=8, right=0, top=0, bottom=0, fill="noise")


def test_an_empty_recipe_leaves_everything_open():
    recipe = Recipe()
    assert recipe.model == "bundled"
    assert recipe.seed is None
    assert recipe.count == 1
    assert recipe.parts == ()
    assert recipe.text is None
    assert recipe.mix is None


def test_recipes_are_values():
    recipe = Recipe(parts=(TextPart(prompt="fox"),))
    assert recipe == Recipe(parts=(TextPart(prompt="fox"),))
    assert hash(recipe) == hash(Recipe(parts=(TextPart(prompt="fox"),)))
    with pytest.raises(ValidationError):
        recipe.steps = 3  # pyright: ignore


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": 0},
        {"steps": 1001},
        {"steps": 20.0},
        {"steps": "20"},
        {"steps": True},
        {"steps": math.nan},
        {"guidance": math.nan},
        {"guidance": math.inf},
        {"guidance": -0.5},
        {"guidance": "7"},
        {"guidance": 10**400},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"count": 0},
        {"count": 10**9},
        {"width": 0},
        {"height": 10**6},
        {"model": ""},
        {"sampler": 3},
        {"version": 2},
        {"colour": "red"},
        {"parts": [{"prompt": "fox"}]},
        {"parts": [{"kind": "poem", "prompt": "fox"}]},
        {"parts": [{"kind": "text"}]},
        {"parts": [{"kind": "text", "prompt": "a"}, {"kind": "text", "prompt": "b"}]},
        {"parts": [{"kind": "text", "prompt": "a" * 2_000_001}]},
        {"parts": [{"kind": "text", "prompt": "a", "guidance_start": 0.7, "guidance_stop": 0.2}]},
        {"parts": [{"kind": "text", "prompt": "a", "guidance_rescale": 1.1}]},
        {"cache_interval": 0},
        {"cache_interval": 17},
        {"cache_interval": 2.0},
        {"fast": 1},
        {"parts": [{"kind": "mix", "prompts": []}]},
        {"parts": [{"kind": "mix", "prompts": [{"prompt": "a", "ratio": 0}]}]},
        {"parts": [{"kind": "mix", "prompts": [{"prompt": "a", "ratio": 1}], "mode": "soup"}]},
        {"parts": [{"kind": "mix", "prompts": [{"prompt": "a", "ratio": 1}], "ratio": 1.0}]},
        {"parts": [{"kind": "mask", "alpha": True}]},
        {"parts": [{"kind": "extend", "left": 8}]},
        {"parts": [IMAGE, {"kind": "mask", "alpha": True}, {"kind": "extend", "left": 8}]},
        {"parts": [IMAGE, IMAGE]},
    ],
    ids=str,
)
def test_out_of_range_is_refused(fields):
    with pytest.raises(ValidationError):
        Recipe(**fields)


def test_whole_numbers_are_floats_too_and_zero_has_no_sign():
    assert repr(Recipe(guidance=7).guidance) == "7.0"
    assert repr(Recipe(guidance=-0.0).guidance) == "0.0"


def test_text_becomes_valid_unicode():
    assert TextPart(prompt="\ud83e\udd8a \ud800").prompt == "🦊 \ufffd"
    assert TextPart(prompt="\x00").prompt == "\x00"


def test_picture_seed():
    resolved = resolve(Recipe(seed=5, count=4), DEFAULTS)
    assert resolved.picture_seed == 5
    assert resolved.model_copy(update={"index": 3}).picture_seed == 8


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4},
        {"seed": MAX_SEED - 2},
        {"parts": (MIX,)},
        {"parts": (REGIONS,)},
        {"parts": (EXTEND,)},
        {"parts": (BEGUN, TEXT)},  # not in the order in which they act
        {"parts": (BEGUN, BEGUN)},
    ],
    ids=str,
)
def test_resolved_is_consistent(change):
    resolved = resolve(Recipe(seed=5, count=4), DEFAULTS)
    with pytest.raises(ValidationError):
        Resolved(**{**dict(resolved), **change})


def test_resolved_shares_sum_to_one():
    with pytest.raises(ValidationError, match="sum to 1"):
        ResolvedMix(prompts=(MixPrompt(prompt="a", ratio=0.5),), ratio=0.6, mode="branches")


def test_parts_are_found_by_kind():
    text = TextPart(prompt="frog")
    mix = MixPart(prompts=(MixPrompt(prompt="rabbit", ratio=0.5),))
    regions = RegionsPart(regions=(Region(prompt="a", area="left"),))
    image, mask = ImagePart(source="cat.png"), MaskPart(area="left")
    recipe = Recipe(parts=(mask, image, regions, mix, text))
    assert (recipe.text, recipe.mix, recipe.regions) == (text, mix, regions)
    assert (recipe.image, recipe.mask, recipe.extend) == (image, mask, None)
    assert Recipe(parts=(image, ExtendPart(left=8))).extend == ExtendPart(left=8)
    resolved = resolve(Recipe(), DEFAULTS).model_copy(update={"parts": (TEXT, REGIONS, BEGUN, EXTEND)})
    assert (resolved.text, resolved.mix, resolved.regions) == (TEXT, None, REGIONS)
    assert (resolved.image, resolved.mask, resolved.extend) == (BEGUN, None, EXTEND)


@pytest.mark.parametrize(("strength", "first"), [(1.0, 0), (0.5, 10), (0.3, 14), (0.02, 20), (0.0, 20)])
def test_drawing_begins_where_the_strength_says(strength, first):
    drawn = resolve(Recipe(steps=20), DEFAULTS)
    assert drawn.first_step == 0
    begun = BEGUN.model_copy(update={"strength": strength})
    assert drawn.model_copy(update={"parts": (begun,)}).first_step == first
