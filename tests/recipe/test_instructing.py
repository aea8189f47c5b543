"""What goes together with a model that is edited by instructions."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from recipe.strategies import CAT, DEFAULTS, SOURCES
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import from_toml, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.parts import ExtendPart, ImagePart, MaskPart, Part, TextPart
from sfumato.recipe.resolve import ModelDefaults, recipe_from_mapping, resolve

EDITS = replace(DEFAULTS, name="pix2pix", instructed=True)
NIGHT = TextPart(prompt="make it night")
IMAGE = ImagePart(source="cat.png")


def resolved(*parts: Part, model: ModelDefaults = EDITS, **fields: Any) -> Resolved:
    return resolve(Recipe(parts=parts, seed=1, **fields), model, sources=SOURCES)


def test_the_picture_is_followed_as_strictly_as_is_said() -> None:
    assert resolved(NIGHT, IMAGE).image_guidance == 1.5
    assert resolved(NIGHT, IMAGE, image_guidance=2.25).image_guidance == 2.25
    assert resolved(IMAGE, image_guidance=1).image_guidance == 1.0
    assert resolved(NIGHT, IMAGE, model=DEFAULTS).image_guidance is None


def test_all_is_drawn_anew_unless_said_otherwise() -> None:
    made, other = resolved(NIGHT, IMAGE).image, resolved(NIGHT, IMAGE, model=DEFAULTS).image
    assert made is not None
    assert other is not None
    assert (made.strength, other.strength) == (1.0, 0.75)
    less = resolved(NIGHT, ImagePart(source="cat.png", strength=0.5))
    assert less.first_step == less.steps // 2


def test_recipes_of_other_models_are_written_as_ever() -> None:
    assert "image_guidance" not in resolved(NIGHT, IMAGE, model=DEFAULTS).model_dump()
    assert resolved(NIGHT, IMAGE).model_dump()["image_guidance"] == 1.5


@pytest.mark.parametrize("value", [0.99, 0, -1, 101, "much", True])
def test_image_guidance_is_one_or_more(value: object) -> None:
    with pytest.raises(RecipeError, match="image_guidance: must be") as caught:
        recipe_from_mapping({"image_guidance": value})
    assert caught.value.hint == "Give 1 to 100."


@pytest.mark.parametrize(
    ("parts", "fields", "model", "said"),
    [
        ((NIGHT,), {}, EDITS, "image: is missing, and pix2pix changes a picture"),
        ((), {"image_guidance": 2.0}, EDITS, "image: is missing"),
        ((NIGHT, IMAGE, ExtendPart(left=8)), {}, EDITS, "outpaint: is not possible with pix2pix"),
        ((NIGHT, IMAGE, MaskPart(area="left", fill="blur")), {}, EDITS, "mask-fill: is not possible with"),
        ((NIGHT, IMAGE), {"image_guidance": 2.0}, DEFAULTS, "image-guidance: is for models that are edited"),
        ((NIGHT,), {"image_guidance": 1.0}, DEFAULTS, "image-guidance: is for models that are edited"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    parts: tuple[Part, ...], fields: dict[str, Any], model: ModelDefaults, said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        resolved(*parts, model=model, **fields)
    assert said in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_mask_goes_with_it() -> None:
    for fill in (None, "noise", "original"):
        made = resolved(NIGHT, IMAGE, MaskPart(area="left", fill=fill))
        assert made.mask is not None
        assert made.mask.fill == ("noise" if fill is None else fill)


def test_a_resolved_recipe_with_image_guidance_has_an_image() -> None:
    made = resolved(NIGHT, IMAGE)
    with pytest.raises(ValidationError, match="image guidance needs an image part"):
        Resolved.model_validate({**made.model_dump(), "parts": [made.parts[0].model_dump()]})


def test_the_same_run_can_be_asked_for_again_by_way_of_a_file() -> None:
    made = resolved(NIGHT, IMAGE, image_guidance=2.5)
    written = to_toml(recipe_of(made))
    assert "image_guidance = 2.5" in written
    sources = {f"sha256:{CAT.sha256}/cat.png": CAT}
    assert resolve(from_toml(written, Recipe), EDITS, sources=sources) == made


def test_the_text_for_other_programs_has_a1111s_words() -> None:
    made = resolved(NIGHT, IMAGE, image_guidance=2.5)
    written = to_parameters(made)
    assert "CFG scale: 4, " in written
    assert "Image CFG scale: 2.5" in written
    assert parse_parameters(written).image_guidance == 2.5
    assert "Image CFG" not in to_parameters(resolved(NIGHT, IMAGE, model=DEFAULTS))
    theirs = "make it night\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, Image CFG scale: 1.2, Seed: 3"
    recipe = parse_parameters(theirs)
    assert (recipe.guidance, recipe.image_guidance) == (7.5, 1.2)
    with pytest.raises(RecipeError, match="image_guidance: must be at least 1"):
        parse_parameters(theirs.replace("1.2", "0.5"))
