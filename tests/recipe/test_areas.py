import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from recipe.strategies import areas
from sfumato.errors import RecipeError
from sfumato.recipe.areas import NAMED_AREAS, AreaText, parse_area


class Placed(BaseModel):
    area: AreaText


def complaint(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_area(text, "mask")
    said = str(caught.value)
    assert said.startswith("mask: ")
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("left", "left"),
        (" Top Left ", "top-left"),
        ("TOP_RIGHT", "top-right"),
        ("centre", "center"),
        ("middle", "center"),
        ("upper-right", "top-right"),
        ("lower", "bottom"),
        ("whole", "all"),
    ],
)
def test_names_as_people_write_them(text, name):
    assert parse_area(text).box == NAMED_AREAS[name]


@pytest.mark.parametrize("name", NAMED_AREAS)
def test_named_areas_lie_inside_and_halves_meet(name):
    left, top, right, bottom = parse_area(name).pixels(64, 48)
    assert 0 <= left < right <= 64
    assert 0 <= top < bottom <= 48
    opposite = {"left": "right", "top": "bottom"}
    if name in opposite:
        other = parse_area(opposite[name]).pixels(65, 49)
        assert parse_area(name).pixels(65, 49)[2:] in ((other[0], 49), (65, other[1]))


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        ("32,16,64x48", (32, 16, 96, 64)),
        (" 0 , 0 , 1 X 1 ", (0, 0, 1, 1)),
        ("0,0,128×96", (0, 0, 128, 96)),  # noqa: RUF001 - as pasted
        ("127.9,95.9,0.1x0.1", (127, 95, 128, 96)),
        ("0.5,0,0.5,1", (64, 0, 128, 96)),
        ("25%, 0, 50%, 0.5", (32, 0, 96, 48)),
        ("1e-05,0,1e-05,1", (0, 0, 1, 96)),
        ("33.4%,0,66.6%,100%", (43, 0, 128, 96)),
        ("0,0,1.0000000001,1", (0, 0, 128, 96)),
    ],
)
def test_numbers(text, pixels):
    assert parse_area(text).pixels(128, 96) == pixels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lft", "is no rectangle (got 'lft'). Did you mean left? Write a name"),
        ("", "is no rectangle (got ''). Write a name"),
        ("1,2,3", "is no rectangle"),
        ("-1,0,2x2", "is no rectangle"),
        ("nan,0,1,1", "is no rectangle"),
        ("0,0,1e99,1", "is no rectangle"),
        ("1_0,0,2x2", "is no rectangle"),
        ("0,0,0x5", "is empty (got '0,0,0x5'). Give a width and a height above 0."),
        ("0.5,0,0,1", "is empty"),
        ("0.5,0,0.6,1", "reaches outside the picture (got '0.5,0,0.6,1'). In fractions, left + width"),
        ("64,0,64,128", "reaches outside the picture"),
        ("101%,0,1%,1", "reaches outside the picture"),
        ("9" * 100_000, "is no rectangle"),
        ("left" * 100_000, "is no rectangle"),
    ],
    ids=lambda text: text[:20],
)
def test_mistakes_are_one_line(text, said):
    assert complaint(text).removeprefix("mask: ").startswith(said)


def test_pixels_outside_name_the_rectangle_and_the_picture():
    for area in (parse_area("60,0,10x10"), parse_area("0,60,10x10")):
        for place in (area.fractions, area.pixels):
            with pytest.raises(RecipeError) as caught:
                place(64, 64, "region")
            assert str(caught.value).startswith("region: reaches outside the picture of 64x64 (got '")


@given(st.data(), st.integers(1, 300), st.integers(1, 300))
def test_fractions_and_pixels_agree(data, width, height):
    area = parse_area(data.draw(areas(width, height)))
    left, top, right, bottom = area.pixels(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    again = parse_area(f"{left},{top},{right - left}x{bottom - top}")
    assert again.pixels(width, height) == (left, top, right, bottom)
    shares = parse_area(",".join(map(repr, again.fractions(width, height))))
    assert shares.box == again.fractions(width, height)
    assert shares.pixels(width, height) == (left, top, right, bottom)


def test_in_a_recipe_a_rectangle_stays_text():
    assert Placed(area=" left ").area == "left"
    with pytest.raises(ValidationError, match=r"is no rectangle: 'lft' \(Did you mean left\?"):
        Placed(area="lft")
    with pytest.raises(ValidationError):
        Placed(area="left".rjust(201))


def test_a_fraction_that_is_rounded_above_one_is_one():
    assert parse_area("0,0,1.0000000001,100.00000001%").box == (0.0, 0.0, 1.0, 1.0)
