import pytest
from pydantic import ValidationError

from sfumato.recipe.parts import MixPrompt
from sfumato.recipe.resolved_parts import (
    ResolvedControl,
    ResolvedExtend,
    ResolvedMask,
    ResolvedMix,
    ResolvedRegion,
    ResolvedText,
    Source,
)

CAT = Source(sha256="a" * 64, name="cat.png")
MASK = {
    **{"invert": False, "grow": 0, "feather": 0, "soft": False},
    **{"extent": "whole", "padding": 32, "fill": "noise"},
}


@pytest.mark.parametrize(
    "fields",
    [
        {"sha256": "A" * 64},
        {"sha256": "a" * 63},
        {"name": ""},
        {"name": "x" * 201},
        {"path": "/home/me/cat.png"},
    ],
    ids=str,
)
def test_a_picture_is_its_digest_and_a_short_name(fields):
    with pytest.raises(ValidationError):
        Source(**{"sha256": "a" * 64, "name": "cat.png", **fields})


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0.5, 0, 0.6, 1),
        (0, 0.5, 1, 0.6),
        (0, 0, 1.1, 1),
        (-0.1, 0, 1, 1),
        (0, 0, 1),
    ],
    ids=str,
)
def test_a_region_lies_within_the_picture(box):
    with pytest.raises(ValidationError):
        ResolvedRegion(prompt="a", box=box, ratio=1.0)


def test_a_region_has_one_place():
    assert ResolvedRegion(prompt="a", box=(0.7, 0, 0.3, 1), ratio=1.0).source is None
    for place in ({}, {"box": (0, 0, 1, 1), "source": CAT}):
        with pytest.raises(ValidationError, match="either a box or a source"):
            ResolvedRegion(prompt="a", ratio=1.0, **place)


@pytest.mark.parametrize(
    "place",
    [
        {"box": (5, 0, 5, 9)},
        {"box": (5, 9, 6, 8)},
        {"box": (0, 0, 1, 99_999)},
        {"box": (0, 0, 2, 2), "source": CAT},
    ],
    ids=str,
)
def test_a_mask_has_one_place_or_the_images_own(place):
    assert ResolvedMask(**MASK).box is None
    assert ResolvedMask(**MASK, box=(0, 0, 1, 1)).source is None
    with pytest.raises(ValidationError):
        ResolvedMask(**MASK, **place)


def test_a_control_begins_before_it_stops():
    fields = {"model": "edges", "digest": "b" * 64, "source": CAT, "annotator": "none", "weight": 1.0}
    assert ResolvedControl(**fields, start=0.5, stop=0.5).stop == 0.5
    for wrong in ({"start": 0.7, "stop": 0.2}, {"start": 0.0, "stop": 1.5}, {"start": 0.0}):
        with pytest.raises(ValidationError):
            ResolvedControl(**fields, **wrong)


def test_nothing_is_left_open():
    with pytest.raises(ValidationError):
        ResolvedMask(**{key: value for key, value in MASK.items() if key != "fill"})
    with pytest.raises(ValidationError, match="must be above 0"):
        ResolvedExtend(left=0, right=0, top=0, bottom=0, fill="noise")
    with pytest.raises(ValidationError, match="lies after"):
        ResolvedText(prompt="", negative="", guidance_rescale=0, guidance_start=1, guidance_stop=0)


def test_shares_sum_to_one():
    half = (MixPrompt(prompt="a", ratio=0.5),)
    assert ResolvedMix(prompts=half, ratio=0.5 + 1e-12, mode="branches").ratio > 0.5
    with pytest.raises(ValidationError, match="sum to 1"):
        ResolvedMix(prompts=half, ratio=0.6, mode="branches")
