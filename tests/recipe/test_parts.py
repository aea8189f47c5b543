import pytest
from pydantic import BaseModel, ValidationError

from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import SchedulePart, VaePart
from sfumato.recipe.parts import (
    PART_ORDER,
    Control,
    ControlPart,
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Part,
    Region,
    RegionsPart,
    TextPart,
    VariationPart,
    check_window,
)
from sfumato.recipe.refining import RefinePart

LEFT = Region(prompt="a frog", area="left")
IMAGE = ImagePart(source="cat.png")
EACH: tuple[Part, ...] = (
    TextPart(prompt="a"),
    MixPart(prompts=(MixPrompt(prompt="b", ratio=1.0),)),
    RegionsPart(regions=(LEFT,)),
    ControlPart(controls=(Control(source="frog.png"),)),
    IMAGE,
    MaskPart(alpha=True),
    ExtendPart(right=8),
    LowResPart(source="small.png"),
    WindowsPart(),
    HiresPart(scale=2.0),
    VariationPart(strength=0.2),
    ExtrasPart(clip_skip=2),
    MicroPart(crop=(0, 8)),
    VaePart(name="mse"),
    SchedulePart(prediction="v"),
    AdaptersPart(adapters=(Adapter(name="foo"),)),
    RefinePart(model="xl-refiner"),
)


def test_every_kind_has_its_place_in_the_order():
    assert tuple(part.kind for part in EACH) == PART_ORDER
    for part in EACH:
        others = [IMAGE.model_dump()] if part.kind in ("mask", "extend") else []
        recipe = Recipe.model_validate({"parts": [part.model_dump(), *others]})
        assert recipe.parts[0] == part


def test_what_is_left_out_changes_as_little_as_can_be():
    assert (IMAGE.strength, IMAGE.start_step, IMAGE.fit, IMAGE.keep_colour) == (None, None, None, False)
    mask = MaskPart(area="left")
    assert (mask.invert, mask.grow, mask.feather, mask.soft, mask.extent) == (False, 0, 0, False, "whole")
    assert (LEFT.ratio, RegionsPart(regions=(LEFT,)).feather) == (1.0, 0.1)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (ImagePart, {}, "source"),
        (ImagePart, {"source": ""}, "source"),
        (ImagePart, {"source": "a", "strength": 1.5}, "strength"),
        (ImagePart, {"source": "a", "start_step": -1}, "start_step"),
        (ImagePart, {"source": "a", "start_step": 1.0}, "start_step"),
        (ImagePart, {"source": "a", "strength": 0.5, "start_step": 3}, "say the same; give one of them"),
        (ImagePart, {"source": "a", "fit": "squeeze"}, "'crop', 'fill' or 'stretch'"),
        (ImagePart, {"source": "a", "keep_colour": 1}, "keep_colour"),
        (MaskPart, {}, "needs one of source"),
        (MaskPart, {"alpha": True, "area": "left"}, "needs one of source"),
        (MaskPart, {"source": "a", "area": "left"}, "needs one of source"),
        (MaskPart, {"area": "lft"}, "is no rectangle"),
        (MaskPart, {"alpha": True, "padding": -1}, "padding"),
        (MaskPart, {"alpha": True, "feather": -1}, "feather"),
        (MaskPart, {"alpha": True, "grow": 20_000}, "grow"),
        (MaskPart, {"alpha": True, "fill": "red"}, "fill"),
        (MaskPart, {"alpha": True, "extent": "half"}, "extent"),
        (ExtendPart, {}, "at least one of left, right, top and bottom"),
        (ExtendPart, {"left": 0}, "at least one of left, right, top and bottom"),
        (ExtendPart, {"left": -8}, "left"),
        (ExtendPart, {"left": 20_000}, "left"),
        (ExtendPart, {"left": 8, "fill": "original"}, "fill"),
        (Region, {"prompt": "a"}, "needs either an area or a source"),
        (Region, {"prompt": "a", "area": "left", "source": "b"}, "needs either an area or a source"),
        (Region, {"prompt": "a", "area": "left", "ratio": 0.0}, "ratio"),
        (Region, {"prompt": "a", "area": "left", "ratio": 1.5}, "ratio"),
        (RegionsPart, {"regions": ()}, "regions"),
        (RegionsPart, {"regions": (LEFT,) * 17}, "regions"),
        (RegionsPart, {"regions": (LEFT,), "feather": 1.5}, "feather"),
        (Control, {"start": 0.7, "stop": 0.2}, "lies after"),
        (Control, {"weight": 4.5}, "weight"),
        (Control, {"weight": -0.5}, "weight"),
        (Control, {"model": ""}, "model"),
        (ControlPart, {"controls": ()}, "controls"),
        (ControlPart, {"controls": (Control(),) * 5}, "controls"),
        (TextPart, {"prompt": "a", "guidance_start": 0.7, "guidance_stop": 0.2}, "lies after"),
        (MixPart, {"prompts": (MixPrompt(prompt="a", ratio=1),) * 17}, "prompts"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[BaseModel], fields, said):
    with pytest.raises(ValidationError, match=said):
        kind(**fields)


def test_a_window_may_be_empty_but_not_backwards():
    check_window(0.5, 0.5)
    with pytest.raises(ValueError, match=r"guidance_start 0\.6 lies after guidance_stop 0\.5"):
        check_window(0.6, 0.5)


def test_a_resolved_recipe_has_room_for_every_kind():
    assert Resolved.model_fields["parts"].metadata[-1].max_length == len(PART_ORDER)
