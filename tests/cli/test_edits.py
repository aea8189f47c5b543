from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from complaints import complaint
from sfumato.cli.edits import with_edits
from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import (
    Control,
    ControlPart,
    ExtendPart,
    ImagePart,
    MaskPart,
    Region,
    RegionsPart,
    TextPart,
    VariationPart,
)

FROG = Recipe(parts=(TextPart(prompt="a frog"),))
CAT = Recipe(parts=(ImagePart(source="cat.png", strength=0.4, fit="fill"),))
MASKED = Recipe(parts=(ImagePart(source="cat.png", strength=1.0), MaskPart(area="left", grow=3)))
WIDER = Recipe(parts=(ImagePart(source="cat.png", strength=1.0), ExtendPart(left=8)))


def test_nothing_asked_changes_nothing() -> None:
    assert with_edits({}, Flags()) == {}
    for recipe in (CAT, MASKED, WIDER):
        assert with_flags(recipe, Flags()) == recipe


def test_every_flag_of_an_image_lands_in_its_field() -> None:
    flags = Flags(image="dog.png", strength="0.6", fit="stretch", keep_colour=True)
    expected = ImagePart(source="dog.png", strength=0.6, fit="stretch", keep_colour=True)
    assert with_flags(FROG, flags).image == expected
    assert with_flags(FROG, flags).text == FROG.text
    assert with_flags(FROG, Flags(image="a", start_step="3")).image == ImagePart(source="a", start_step=3)


def test_every_flag_of_a_mask_lands_in_its_field() -> None:
    flags = Flags(
        image="cat.png",
        mask="8,8,16x16",
        mask_invert=True,
        mask_grow="-4",
        mask_feather="5",
        mask_fill="blur",
        mask_soft=True,
        masked_only=True,
        mask_padding="16",
    )
    assert with_flags(FROG, flags).mask == MaskPart(
        area="8,8,16x16",
        invert=True,
        grow=-4,
        feather=5,
        fill="blur",
        soft=True,
        extent="masked",
        padding=16,
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("alpha", {"alpha": True}),
        (" ALPHA ", {"alpha": True}),
        ("top-left", {"area": "top-left"}),
        (" 0.5,0,0.5,1 ", {"area": "0.5,0,0.5,1"}),
        ("mask.png", {"source": "mask.png"}),
        ("over/there.webp", {"source": "over/there.webp"}),
    ],
)
def test_where_a_mask_is(text: str, place: dict[str, Any]) -> None:
    assert with_flags(CAT, Flags(mask=text)).mask == MaskPart(**place)


def test_a_file_of_that_name_is_that_file(here: Path) -> None:
    Image.new("L", (8, 8)).save(here / "left", "PNG")
    assert with_flags(CAT, Flags(mask="left")).mask == MaskPart(source="left")
    assert with_flags(FROG, Flags(region=("a@left",))).regions == RegionsPart(
        regions=(Region(prompt="a", source="left"),)
    )
    (here / "right").mkdir()  # a folder is no mask
    assert with_flags(CAT, Flags(mask="right")).mask == MaskPart(area="right")


def test_another_way_to_say_the_beginning_replaces_the_old_one() -> None:
    assert with_flags(CAT, Flags(start_step="2")).image == ImagePart(
        source="cat.png", start_step=2, fit="fill"
    )
    stepped = with_flags(CAT, Flags(start_step="2"))
    assert with_flags(stepped, Flags(strength="0.5")).image == ImagePart(
        source="cat.png", strength=0.5, fit="fill"
    )
    assert with_flags(CAT, Flags(keep_colour=True)).image == ImagePart(
        source="cat.png", strength=0.4, fit="fill", keep_colour=True
    )


def test_another_picture_has_no_mask_and_no_extension() -> None:
    for before in (MASKED, WIDER):
        after = with_flags(before, Flags(image="dog.png"))
        assert (after.mask, after.extend) == (None, None)
        assert after.image == ImagePart(source="dog.png")  # the strength was the mask's


def test_a_mask_is_moved_and_keeps_what_it_was() -> None:
    assert with_flags(MASKED, Flags(mask="right")).mask == MaskPart(area="right", grow=3)
    assert with_flags(MASKED, Flags(mask="m.png")).mask == MaskPart(source="m.png", grow=3)
    assert with_flags(MASKED, Flags(mask_grow="0")).mask == MaskPart(area="left")
    assert with_flags(WIDER, Flags(mask="left")).extend is None


def test_a_picture_that_was_fitted_can_be_masked_and_extended() -> None:
    masked = with_flags(CAT, Flags(mask="left"))
    assert masked.image == ImagePart(source="cat.png", strength=0.4)
    assert with_flags(CAT, Flags(outpaint="8")).image == masked.image
    # Asked for by name, it is a mistake that resolving tells.
    asked = with_flags(CAT, Flags(mask="left", fit="crop")).image
    assert asked is not None
    assert asked.fit == "crop"


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("right=64", {"right": 64}),
        (" Left = 32 , top=16 ", {"left": 32, "top": 16}),
        ("left=1,right=2,top=3,bottom=4", {"left": 1, "right": 2, "top": 3, "bottom": 4}),
        ("left=0,top=1", {"left": 0, "top": 1}),
        (" 32 ", {"left": 32, "right": 32, "top": 32, "bottom": 32}),
    ],
)
def test_outpainting(text: str, sides: dict[str, int]) -> None:
    assert with_flags(CAT, Flags(outpaint=text)).extend == ExtendPart(**sides)
    assert with_flags(MASKED, Flags(outpaint=text)).mask is None
    assert with_flags(WIDER, Flags(outpaint=text)).extend == ExtendPart(**sides)


def test_outpainting_in_passes() -> None:
    far = with_flags(CAT, Flags(outpaint="left=256", outpaint_step="32"))
    assert far.extend == ExtendPart(left=256, reach=32)
    assert with_flags(far, Flags(outpaint_step="0")).extend == ExtendPart(left=256, reach=0)
    assert with_flags(far, Flags(outpaint="left=8")).extend == ExtendPart(left=8)
    sized = far.model_copy(update={"width": 128, "height": 128})
    assert with_flags(sized, Flags(outpaint_step="0")).width is None  # the window's, not the picture's
    with pytest.raises(RecipeError, match="outpaint-step: nothing is extended"):
        with_flags(CAT, Flags(outpaint_step="32"))
    with pytest.raises(RecipeError, match="outpaint-step: must be at least 0"):
        with_flags(far, Flags(outpaint_step="-1"))


def test_regions() -> None:
    flags = Flags(region=("a frog@left", " me@home @ 8,8,16x16", "@m.png"), region_feather="0.3")
    regions = (
        Region(prompt="a frog", area="left"),
        Region(prompt="me@home", area="8,8,16x16"),
        Region(prompt="", source="m.png"),
    )
    both = with_flags(FROG, flags)
    assert both.regions == RegionsPart(regions=regions, feather=0.3)
    assert both.text == FROG.text
    assert with_flags(both, Flags(region=("a@top",))).regions == RegionsPart(
        regions=(Region(prompt="a", area="top"),), feather=0.3
    )
    assert with_flags(both, Flags(region_feather="0")).regions == RegionsPart(regions=regions, feather=0.0)
    assert with_flags(FROG, Flags(region=("a@b@left",))).regions is not None


def test_controls() -> None:
    one = with_flags(FROG, Flags(control=("a.png",))).control
    assert one == ControlPart(controls=(Control(source="a.png"),))
    flags = Flags(
        control=("a.png", "image"),
        control_model=("grey", "edges"),
        control_weight=("0.5",),
        control_start=("0", "0.2"),
        control_stop=("0.9",),
        control_annotator=("blur", "canny"),
    )
    first = Control(model="grey", source="a.png", annotator="blur", weight=0.5, start=0.0, stop=0.9)
    second = Control(model="edges", annotator="canny", weight=0.5, start=0.2, stop=0.9)
    both = with_flags(CAT, flags)
    assert both.control == ControlPart(controls=(first, second))
    heavier = with_flags(both, Flags(control_weight=("1", "2"))).control
    assert heavier is not None
    assert [one.weight for one in heavier.controls] == [1.0, 2.0]
    assert heavier.controls[0].model == "grey"


@pytest.mark.parametrize(
    ("base", "asked", "line"),
    [
        (
            FROG,
            {"strength": "0.5"},
            "strength: there is no picture to begin with (got 0.5). Add --image FILE.",
        ),
        (FROG, {"keep_colour": True}, "keep-colour: there is no picture to begin with. Add --image FILE."),
        (FROG, {"mask": "left"}, "mask: there is no picture to begin with (got 'left'). Add --image FILE."),
        (FROG, {"outpaint": "8"}, "outpaint: there is no picture to begin with (got '8'). Add --image FILE."),
        (CAT, {"mask_grow": "3"}, "mask-grow: there is no mask (got 3). Give --mask WHERE as well."),
        (CAT, {"mask_soft": True}, "mask-soft: there is no mask. Give --mask WHERE as well."),
        (CAT, {"masked_only": True}, "masked-only: there is no mask. Give --mask WHERE as well."),
        (MASKED, {"image": "b", "mask_grow": "3"}, "mask-grow: there is no mask (got 3)"),
        (CAT, {"strength": "1.5"}, "strength: must be at most 1.0 (got 1.5). Give 0 to 1: 0 gives the"),
        (CAT, {"strength": "-0.1"}, "strength: must be at least 0"),
        (CAT, {"strength": "half"}, "strength: must be a number (got 'half'). For example 0.5."),
        (CAT, {"strength": "nan"}, "strength: must be a finite number (got nan)"),
        (CAT, {"start_step": "1.5"}, "start-step: must be a whole number (got '1.5'). For example 20."),
        (CAT, {"start_step": "-1"}, "start-step: must be at least 0 (got -1). Give 0 to 1000"),
        (
            CAT,
            {"strength": "0.5", "start_step": "3"},
            "start-step: says the same as --strength (got 3). Give one of the two.",
        ),
        (CAT, {"fit": "squeeze"}, "fit: must be 'crop', 'fill' or 'stretch' (got 'squeeze')"),
        (CAT, {"image": ""}, "image: must not be empty (got '')"),
        (CAT, {"mask": "lft"}, "mask: is no rectangle (got 'lft'). Did you mean left?"),
        (CAT, {"mask": ""}, "mask: is no rectangle (got '')"),
        (CAT, {"mask": "."}, "mask: is no rectangle (got '.')"),
        (CAT, {"mask": "x" * 5000}, "mask: is no rectangle (got 'xxx"),
        (CAT, {"mask": "0.5,0,0.6,1"}, "mask: reaches outside the picture (got '0.5,0,0.6,1')"),
        (CAT, {"mask": "-8,0,16x16"}, "mask: is no rectangle (got '-8,0,16x16')"),
        (CAT, {"mask": "8,8,0x4"}, "mask: is empty (got '8,8,0x4'). Give a width and a height above 0."),
        (
            MASKED,
            {"mask_feather": "-1"},
            "mask-feather: must be at least 0 (got -1). Give 0 to 16384 pixels.",
        ),
        (
            MASKED,
            {"mask_grow": "99999"},
            "mask-grow: must be at most 16384 (got 99999). Give -16384 to 16384",
        ),
        (MASKED, {"mask_padding": "many"}, "mask-padding: must be a whole number (got 'many')"),
        (MASKED, {"mask_fill": "red"}, "mask-fill: must be 'original', 'noise' or 'blur' (got 'red')"),
        (
            CAT,
            {"outpaint": "up=8"},
            "outpaint: must name sides and pixels (got 'up=8'). For example right=64",
        ),
        (CAT, {"outpaint": "left=8,left=9"}, "outpaint: must name sides and pixels"),
        (CAT, {"outpaint": "left=-8"}, "outpaint: must name sides and pixels"),
        (CAT, {"outpaint": ""}, "outpaint: must name sides and pixels"),
        (CAT, {"outpaint": "0"}, "outpaint: adds nothing (got '0'). For example right=64."),
        (CAT, {"outpaint": "left=0,top=0"}, "outpaint: adds nothing"),
        (CAT, {"outpaint": "99999"}, "outpaint: must be at most 16384 (got 99999). Give 0 to 16384 pixels."),
        (
            CAT,
            {"outpaint": "8", "mask": "left"},
            "outpaint: is not possible together with --mask (got '8'). Draw one after the other.",
        ),
        (
            FROG,
            {"region": ("a frog",)},
            "region: does not say where (got 'a frog'). Write it as \"a frog@left\".",
        ),
        (FROG, {"region": ("a frog@ ",)}, "region: does not say where (got 'a frog@ ')"),
        (FROG, {"region": ("a@lft",)}, "region: is no rectangle (got 'lft'). Did you mean left?"),
        (FROG, {"region": ("a@0.5,0,0.6,1",)}, "region: reaches outside the picture (got '0.5,0,0.6,1')"),
        (FROG, {"region": ("a@left",) * 17}, "region: must be at most 16 (got 17)"),
        (FROG, {"control": ("a.png",) * 5}, "control: must be at most 4 (got 5)"),
        (FROG, {"control": ("image",)}, "control: there is no picture to begin with (got 'image')"),
        (FROG, {"control_weight": ("1",)}, "control-weight: there is nothing to follow. Give --control FILE"),
        (
            FROG,
            {"control": ("a", "b", "c"), "control_weight": ("1", "2")},
            "control-weight: is given 2 times for 3 controls. Give it once for all of them",
        ),
        (
            FROG,
            {"control": ("a",), "control_weight": ("5",)},
            "control-weight: must be at most 4.0 (got 5.0). Give 0 to 4.",
        ),
        (FROG, {"region_feather": "0.2"}, "region-feather: there are no regions. Add --region"),
        (
            FROG,
            {"region": ("a@left",), "region_feather": "2"},
            "region-feather: must be at most 1.0 (got 2.0). Give 0 to 1, a fraction of the shorter side.",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_name_flag_value_and_hint(base: Recipe, asked: dict[str, Any], line: str) -> None:
    assert complaint(base, **asked).startswith(line)


def test_a_variation_has_a_strength_and_a_seed() -> None:
    frog = Recipe(parts=(TextPart(prompt="a frog"),), seed=7)
    near = with_flags(frog, Flags(variation="0.2", variation_seed="5"))
    assert near.variation == VariationPart(strength=0.2, seed=5)
    assert with_flags(near, Flags(variation="0.4")).variation == VariationPart(strength=0.4, seed=5)
    for flags, message in (
        (
            Flags(variation="2"),
            "variation: must be at most 1.0 (got 2.0). Give 0 to 1: 0 is the picture itself, 1 another one.",
        ),
        (
            Flags(variation_seed="5"),
            "variation-seed: there is no variation (got 5). Give --variation 0.2 too.",
        ),
        (Flags(variation="x"), "variation: must be a number (got 'x'). For example 0.5."),
    ):
        with pytest.raises(RecipeError) as raised:
            with_flags(frog, flags)
        assert str(raised.value) == message
