import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Control, ControlPart, ImagePart, MaskPart, Region, RegionsPart
from sfumato.recipe.sources import parse_stored, sources_of, stored_source

SHA = "0123456789abcdef" * 4


@given(st.text(min_size=1, max_size=200))
def test_what_is_stored_is_read(name):
    assert parse_stored(stored_source(SHA, name)) == (SHA, name)


def test_the_name_may_be_missing():
    assert parse_stored(f"sha256:{SHA}") == (SHA, "")


@pytest.mark.parametrize("path", ["cat.png", "a/sha256:b.png", "SHA256", "", SHA])
def test_a_path_is_no_stored_source(path):
    assert parse_stored(path) is None


@pytest.mark.parametrize(
    "source",
    ["sha256:", "sha256:cat.png", f"sha256:{SHA}0", f"sha256:{SHA.upper()}", f"sha256:{SHA}/" + "x" * 201],
)
def test_a_damaged_digest_is_one_line(source):
    with pytest.raises(RecipeError, match=r"^source: names no picture \(got .*\)\. Write sha256: and 64 hex"):
        parse_stored(source)


def test_every_picture_is_named_once_by_the_first_field_that_needs_it():
    regions = (
        Region(prompt="a", source="mask.png"),
        Region(prompt="b", area="left"),
        Region(prompt="c", source="c.png"),
    )
    recipe = Recipe(
        parts=(
            RegionsPart(regions=regions),
            ImagePart(source="cat.png"),
            MaskPart(source="mask.png"),
        )
    )
    assert sources_of(recipe) == {"cat.png": "image", "mask.png": "mask", "c.png": "region"}
    controls = (Control(source="cat.png"), Control(source="d.png"), Control())
    steered = Recipe(parts=(ControlPart(controls=controls), ImagePart(source="cat.png")))
    assert sources_of(steered) == {"cat.png": "image", "d.png": "control"}
    same = Recipe(parts=(ImagePart(source="cat.png"), MaskPart(source="cat.png")))
    assert sources_of(same) == {"cat.png": "image"}
    assert sources_of(Recipe(parts=(ImagePart(source="a"), MaskPart(alpha=True)))) == {"a": "image"}
    assert sources_of(Recipe()) == {}
