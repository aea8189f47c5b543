"""Directions of a grid and their combinations, whoever makes recipes of them."""

import pytest

from sfumato.engine.crossing import Axis, Named, axis_of, check_axes, combinations, layout_of, parse_axis
from sfumato.errors import RecipeError
from sfumato.imaging.sheet import Labels
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from tiny_models import tiny_folder, tiny_settings

NAMES = ("steps", "seed", "guidance_stop")


@pytest.mark.parametrize(
    ("written", "axis"),
    [
        ("steps=4, 8,20", Axis("steps", ("4", "8", "20"))),
        ("seed=1..3,9", Axis("seed", ("1", "2", "3", "9"))),
        ("guidance-stop=0.5", Axis("guidance_stop", ("0.5",))),
        (r"steps=a\, b", Axis("steps", ("a, b",))),
    ],
)
def test_an_axis_is_a_name_and_values(written: str, axis: Axis) -> None:
    assert parse_axis("x", written, NAMES, 10) == axis
    name, _, values = written.partition("=")
    assert axis_of("x", name, values, NAMES, 10) == axis


def test_names_are_those_of_the_front_end() -> None:
    with pytest.raises(RecipeError, match=r"x: is no setting to cross.*Choose one of seed\."):
        parse_axis("x", "steps=4", ["seed"], 10)
    with pytest.raises(RecipeError, match="across: more than 2 values"):
        axis_of("across", "seed", "1,2,3", NAMES, 2)


def test_combinations_go_block_by_block_and_row_by_row() -> None:
    axes = [Axis("steps", ("1", "2")), Axis("seed", ("5", "6"))]
    assert [*combinations(axes)] == [
        ((0, 0, 0), {"steps": "1", "seed": "5"}),
        ((0, 0, 1), {"steps": "2", "seed": "5"}),
        ((0, 1, 0), {"steps": "1", "seed": "6"}),
        ((0, 1, 1), {"steps": "2", "seed": "6"}),
    ]
    assert [place for place, _ in combinations([*axes, Axis("guidance", ("1", "3"))])][-1] == (1, 1, 1)


def test_one_setting_stands_along_one_direction_and_cells_are_bounded() -> None:
    axis = Axis("guidance_stop", ("0", "1"))
    with pytest.raises(RecipeError, match="guidance-stop: stands along two directions"):
        check_axes([axis, axis], 10)
    check_axes([axis, Axis("seed", ("1", "2"))], 4)
    with pytest.raises(RecipeError, match="more than 3 pictures"):
        check_axes([axis, Axis("seed", ("1", "2"))], 3)


def test_cells_take_the_common_seed_and_the_sheet_names_what_they_share() -> None:
    named = Named(find_model(str(tiny_folder()), tiny_settings()), tiny_settings())
    recipe = Recipe(parts=(TextPart(prompt="a frog"),), steps=2)
    cells = [named.cell((0, 0, 0), recipe, 5), named.cell((0, 0, 1), Recipe(seed=6, steps=2), 5)]
    assert [cell.resolved.seed for cell in cells] == [5, 6]
    layout = layout_of([Axis("model", ("a", "b"))], cells[:1])
    assert (layout.title, layout.across) == ("a frog", Labels("model", ("a", "b")))
    assert "seed 5" in layout.facts
    assert cells[0].resolved.model not in layout.facts
