from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recipe.strategies import CONTROLS, DEFAULTS, SOURCES
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import (
    Control,
    ControlPart,
    ExtendPart,
    ImagePart,
    MaskPart,
    Part,
    Region,
    RegionsPart,
    TextPart,
)
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolve_edits import canvas_size, drawing_size
from sfumato.recipe.sources import SourceFacts
from sfumato.settings import Settings

CAT = ImagePart(source="cat.png")  # 100x60
NATIVE, BOUNDS = (128, 128), (64, 1024)


def drawn(*parts: Part, settings: Settings | None = None, **fields: object) -> Resolved:
    recipe = Recipe.model_validate({"seed": 3, **fields, "parts": parts})
    return resolve(recipe, DEFAULTS, sources=SOURCES, settings=settings)


def complaint(*parts: Part, settings: Settings | None = None, **fields: object) -> str:
    with pytest.raises(RecipeError) as caught:
        drawn(*parts, settings=settings, **fields)
    return str(caught.value)


def size_of(width: int, height: int, /, *parts: Part, **fields: object) -> tuple[int, int]:
    facts = SourceFacts("a" * 64, "a.png", width, height, has_alpha=False)
    recipe = Recipe.model_validate({**fields, "parts": (ImagePart(source="a.png"), *parts)})
    return drawing_size(recipe, facts, NATIVE, BOUNDS)


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ((128, 128), (128, 128)),
        ((4000, 4000), (128, 128)),
        ((16, 16), (128, 128)),
        ((200, 50), (256, 64)),
        ((64, 256), (64, 256)),
        ((4000, 10), (1024, 64)),
        ((1, 16_000), (64, 1024)),
    ],
)
def test_a_drawing_has_the_proportions_of_its_image(image: tuple[int, int], size: tuple[int, int]) -> None:
    assert size_of(*image) == size
    assert size_of(*image, MaskPart(area="left")) == size


def test_what_is_given_is_kept_and_the_other_side_follows() -> None:
    assert size_of(100, 50, width=200) == (200, 100)
    assert size_of(100, 50, height=200) == (400, 200)
    assert size_of(100, 50, width=100, height=100) == (100, 100)
    assert size_of(100, 10, width=100) == (100, 64)  # not below what the model draws


def test_surroundings_are_drawn_at_the_models_own_size() -> None:
    assert size_of(1000, 500, MaskPart(area="left", extent="masked")) == NATIVE


def test_an_extended_picture_is_drawn_at_its_own_size() -> None:
    assert size_of(200, 100, ExtendPart(right=56, top=28, reach=0)) == (256, 128)
    assert size_of(2000, 100, ExtendPart(right=48, reach=0)) == (1024, 64)


@given(st.integers(1, 16_384), st.integers(1, 16_384), st.booleans())
def test_every_image_has_a_size_that_can_be_drawn(width: int, height: int, extended: bool) -> None:
    size = size_of(width, height, *([ExtendPart(left=1)] if extended else []))
    assert all(64 <= side <= 1024 for side in size)


def test_the_canvas_is_the_image_and_what_is_added() -> None:
    facts = SOURCES["cat.png"]
    assert canvas_size(None, facts) == (100, 60)
    assert canvas_size(ExtendPart(left=1, right=2, top=4, bottom=8), facts) == (103, 72)


@pytest.mark.parametrize(
    ("fields", "others", "strength"),
    [
        ({}, (), 0.75),
        ({}, (MaskPart(area="left"),), 1.0),
        ({}, (ExtendPart(left=8),), 1.0),
        ({"strength": 0.0}, (), 0.0),
        ({"strength": 0.4}, (MaskPart(area="left"),), 0.4),
        ({"start_step": 15}, (), 0.25),
        ({"start_step": 0}, (), 1.0),
        ({"start_step": 20}, (), 0.0),
    ],
    ids=str,
)
def test_strength(fields: dict[str, object], others: tuple[Part, ...], strength: float) -> None:
    image = drawn(ImagePart.model_validate({"source": "cat.png", **fields}), *others).image
    assert image is not None
    assert image.strength == strength


@given(st.integers(1, 1000).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps))))
@example((49, 48))  # 49 * (1 / 49) is below 1
def test_a_step_to_begin_at_is_the_first_one(case: tuple[int, int]) -> None:
    steps, first = case
    assert drawn(ImagePart(source="cat.png", start_step=first), steps=steps).first_step == first


@pytest.mark.parametrize(("strength", "first"), [(0.0, 20), (0.04, 20), (0.05, 19), (0.5, 10), (1.0, 0)])
def test_strength_rounds_down_to_whole_steps(strength: float, first: int) -> None:
    assert drawn(ImagePart(source="cat.png", strength=strength), steps=20).first_step == first


def test_a_step_beyond_the_last_is_one_line() -> None:
    assert complaint(ImagePart(source="cat.png", start_step=21)) == (
        "start-step: is beyond the last step, 20 (got 21). "
        "At step 0 nothing of the image is kept, at the last everything."
    )


@pytest.mark.parametrize("other", [MaskPart(area="left"), ExtendPart(left=8)], ids=["mask", "extend"])
def test_an_image_that_keeps_its_size_is_not_fitted(other: Part) -> None:
    assert drawn(CAT).parts[0].model_dump()["fit"] == "crop"
    assert drawn(CAT, other).parts[0].model_dump()["fit"] == "stretch"
    said = complaint(ImagePart(source="cat.png", fit="fill"), other)
    assert said.startswith("fit: has no effect with a mask or an extension")


def test_masks_begin_with_noise_alone_or_with_what_is_there() -> None:
    def fill(part: Part, **fields: object) -> object:
        return (
            drawn(ImagePart.model_validate({"source": "cat.png", **fields}), part)
            .parts[1]
            .model_dump()["fill"]
        )

    assert fill(MaskPart(area="left")) == "noise"
    assert fill(MaskPart(area="left"), strength=0.9) == "original"
    assert fill(MaskPart(area="left", fill="blur")) == "blur"
    assert fill(ExtendPart(left=8)) == "noise"
    assert fill(ExtendPart(left=8), strength=0.9) == "blur"
    assert fill(ExtendPart(left=8, fill="noise"), strength=0.9) == "noise"


def test_a_mask_has_its_place_in_the_image() -> None:
    def place(mask: MaskPart) -> tuple[object, object]:
        resolved = drawn(CAT, mask, width=512, height=512).mask  # the drawing's size does not matter
        assert resolved is not None
        return resolved.box, None if resolved.source is None else resolved.source.name

    assert place(MaskPart(area="right")) == ((50, 0, 100, 60), None)
    assert place(MaskPart(area="90,50,10x10")) == ((90, 50, 100, 60), None)
    assert place(MaskPart(alpha=True)) == (None, None)
    assert place(MaskPart(source="over/there/mask.png")) == (None, "mask: a/b 🦊.png")


def test_masks_that_cannot_be() -> None:
    assert complaint(CAT, MaskPart(area="95,0,10x10")).startswith(
        "mask: reaches outside the picture of 100x60 (got '95,0,10x10')"
    )
    opaque = ImagePart(source=" tall")
    assert complaint(opaque, MaskPart(alpha=True)) == (
        "mask: nothing of the image is transparent (got 'alpha'). "
        "Give a mask's file, or a rectangle such as 32,32,64x64."
    )


def test_regions_have_their_place_in_the_drawing() -> None:
    regions = (Region(prompt="a", area="32,0,32x64"), Region(prompt="b", area="left", ratio=0.5))
    resolved = drawn(RegionsPart(regions=regions), width=64, height=128).regions
    assert resolved is not None
    assert [region.box for region in resolved.regions] == [(0.5, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 1.0)]
    assert [region.ratio for region in resolved.regions] == [1.0, 0.5]
    outside = RegionsPart(regions=(Region(prompt="a", area="100,0,64x64"),))
    assert complaint(outside).startswith(
        "region: reaches outside the picture of 128x128 (got '100,0,64x64'). Left and top count from"
    )


def test_regions_without_a_prompt_leave_the_rest_to_the_model() -> None:
    resolved = drawn(RegionsPart(regions=(Region(prompt="a", area="left"),)))
    assert [part.kind for part in resolved.parts] == ["text", "regions"]
    assert resolved.text is not None
    assert resolved.text.prompt == ""


def test_parts_stand_in_the_order_in_which_they_act() -> None:
    regions = RegionsPart(regions=(Region(prompt="a", area="left"),))
    parts = (MaskPart(area="left"), CAT, regions, TextPart(prompt="b"))
    assert [part.kind for part in drawn(*parts).parts] == ["text", "regions", "image", "mask"]


def test_controlnets_have_their_picture_and_what_makes_a_map_of_it() -> None:
    controls = (
        Control(),
        Control(model="over/there/grey", source=" tall", weight=0.5, stop=0.6),
        Control(model="soft lines", annotator="blur"),
        Control(model=".", source="cat.png"),
    )
    recipe = Recipe(parts=(CAT, ControlPart(controls=controls)))
    part = resolve(recipe, DEFAULTS, sources=SOURCES, controls=CONTROLS).control
    assert part is not None
    assert [one.model for one in part.controls] == ["edges", "grey", "soft lines", "."]  # no paths
    assert [one.digest[0] for one in part.controls] == ["1", "3", "2", "4"]
    assert [one.source.name for one in part.controls] == ["cat.png", "tall.jpg", "cat.png", "cat.png"]
    assert [one.annotator for one in part.controls] == ["canny", "grey", "blur", "none"]
    assert (part.controls[1].weight, part.controls[1].stop) == (0.5, 0.6)


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (
            Control(annotator="cany"),
            "control-annotator: unknown annotator (got 'cany'). Did you mean canny? Choose",
        ),
        (Control(model="depth"), "control: this ControlNet was not found (got 'depth')"),
        (Control(source="dog.png"), "control: this picture was not read (got 'dog.png')"),
    ],
)
def test_controls_that_cannot_be(control: Control, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve(
            Recipe(parts=(CAT, ControlPart(controls=(control,)))),
            DEFAULTS,
            sources=SOURCES,
            controls=CONTROLS,
        )
    assert str(caught.value).startswith(said)


def test_a_picture_that_was_not_read_is_named() -> None:
    for part, field in (
        (ImagePart(source="dog.png"), "image"),
        (RegionsPart(regions=(Region(prompt="a", source="dog.png"),)), "region"),
    ):
        assert complaint(part).startswith(f"{field}: this picture was not read (got 'dog.png')")
    assert complaint(CAT, MaskPart(source="dog.png")).startswith("mask: this picture was not read")


def test_an_extension_has_the_limits_of_pictures() -> None:
    limits = Settings(data_dir=Path("x"), max_pixels=20_000)
    assert drawn(CAT, ExtendPart(right=50), settings=limits).extend is not None
    # What is drawn may be small enough: it is the picture in memory that counts.
    assert complaint(CAT, ExtendPart(right=300), settings=limits, width=128, height=64).startswith(
        "outpaint: more than 20000 pixels (got '400x60')"
    )
    assert complaint(
        RegionsPart(regions=(Region(prompt="x" * 11, area="left"),)),
        settings=replace(limits, max_prompt_chars=10),
    ).startswith("region: is too long; characters at most 10")
