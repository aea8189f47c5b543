"""Settings crossed: every combination is a recipe that the same flags would have given."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.cli.crossing import CROSSED, cross, parse_axis
from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.engine.crossing import Axis, Cell, Named, layout_of
from sfumato.errors import PictureError, RecipeError
from sfumato.imaging.sheet import Labels
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_folder, tiny_settings

FROG = Flags(prompt="a frog", seed="7")


def crossed(
    *written: str, asked: Flags = FROG, base: Recipe | None = None, **options: Any
) -> tuple[Cell, ...]:
    settings = replace(tiny_settings(), **options)
    found = find_model(str(tiny_folder()), settings)
    axes = [parse_axis(name, text, settings.max_count) for name, text in zip("xyz", written, strict=False)]
    return cross(base or Recipe(), asked, axes, Named(found, settings))


@pytest.mark.parametrize(
    ("written", "field", "values"),
    [
        ("steps=4,8,20", "steps", ("4", "8", "20")),
        ("seed=1..4", "seed", ("1", "2", "3", "4")),
        ("seed=1..2, 9", "seed", ("1", "2", "9")),
        ("prompt=a frog,a rabbit", "prompt", ("a frog", "a rabbit")),
        (r"prompt=a frog\, watercolour,", "prompt", ("a frog, watercolour", "")),
        ("guidance-rescale=0,0.7", "guidance_rescale", ("0", "0.7")),
        ("--guidance_start=0", "guidance_start", ("0",)),
        ("prompt=a=b", "prompt", ("a=b",)),
    ],
)
def test_an_axis_is_a_name_and_values(written: str, field: str, values: tuple[str, ...]) -> None:
    assert parse_axis("x", written, 1000) == Axis(field, values)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("steps", r"x: names no values \(got 'steps'\)"),
        ("step=4", r"x: is no setting to cross .*Did you mean steps\?"),
        ("count=1,2", "is no setting to cross"),
        ("model=a,b", "is no setting to cross"),
        ("mix=a:1", "is no setting to cross"),
        ("seed=4..1", "is no range of numbers"),
        ("seed=1..11", "at most 10 numbers"),
        ("steps=1,2,3,4,5,6,7,8,9,10,11", "more than 10 values"),
    ],
)
def test_what_is_no_axis_is_refused(written: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse_axis("x", written, 10)


def test_every_setting_of_one_value_can_be_crossed() -> None:
    assert {"prompt", "seed", "steps", "sampler", "spacing", "guidance", "strength", "eta"} <= set(CROSSED)
    assert not {"fast", "mix", "unconditional"} & set(CROSSED)


def test_cells_are_what_the_flags_would_give() -> None:
    cells = crossed("steps=2,3", "guidance=1,2.5,4", "sampler=ddim,euler")
    assert [cell.place for cell in cells][:4] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    assert len({cell.place for cell in cells}) == 12
    defaults = find_model(str(tiny_folder()), tiny_settings()).defaults
    for cell in cells:
        block, row, column = cell.place
        flags = replace(
            FROG,
            steps="23"[column],
            guidance=("1", "2.5", "4")[row],
            sampler=("ddim", "euler")[block],
        )
        assert cell.resolved == resolve(with_flags(Recipe(), flags), defaults)


def test_all_cells_share_a_seed_that_nobody_gave() -> None:
    asked = Flags(prompt="a frog")
    seeds = {cell.resolved.seed for cell in crossed("steps=1,2,3", asked=asked)}
    assert len(seeds) == 1
    again = {cell.resolved.seed for cell in crossed("steps=1,2,3", asked=asked)}
    assert seeds != again
    assert [cell.resolved.seed for cell in crossed("seed=3,4", asked=asked)] == [3, 4]
    assert {cell.resolved.seed for cell in crossed("steps=1,2", asked=asked, base=Recipe(seed=5))} == {5}


def test_a_recipe_of_many_pictures_gives_one_a_cell() -> None:
    cells = crossed("steps=1,2", base=Recipe(count=4))
    assert {cell.resolved.count for cell in cells} == {1}


@pytest.mark.parametrize(
    ("written", "asked", "words"),
    [
        (("steps=4,0",), FROG, r"steps: must be at least 1 \(got 0\)"),
        (("steps=4,,8",), FROG, r"steps: must be a whole number \(got ''\)"),
        (("sampler=ddim,eular",), FROG, r"sampler: unknown sampler \(got 'eular'\).*euler"),
        (("guidance=1,1000",), FROG, "guidance: must be at most 100"),
        (("steps=1,2", "guidance-stop=0.2,2"), FROG, "guidance-stop: must be at most 1"),
        (("steps=1,2", "steps=3,4"), FROG, "steps: stands along two directions"),
        (("steps=1,2",), replace(FROG, steps="3"), "steps: is crossed already"),
        (("steps=1,2",), replace(FROG, count="2"), "count: a grid has one picture in each cell"),
        (
            ("seed=1..4", "steps=1..4"),
            Flags(prompt="a frog"),
            r"grid: these are more than 10 pictures \(got '?4 x 4",
        ),
    ],
)
def test_every_combination_is_checked_before_any_is_drawn(
    written: tuple[str, ...], asked: Flags, words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        crossed(*written, asked=asked, max_count=10)


def test_a_picture_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(PictureError, match="no such file"):
        crossed("strength=0.2,0.5", asked=replace(FROG, image="none.png"))


def test_pictures_are_read_once_for_all_cells_that_name_the_same(tmp_path: Path) -> None:
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / name)
    first, second = crossed("strength=0.2,0.5", asked=replace(FROG, image=str(tmp_path / "a.png")))
    assert [cell.resolved.image.strength for cell in (first, second)] == [0.2, 0.5]  # type: ignore[union-attr]
    named = Named(find_model(str(tiny_folder()), tiny_settings()), tiny_settings())
    assert named.inputs(first.recipe) is named.inputs(second.recipe)
    (other,) = crossed("steps=2", asked=replace(FROG, image=str(tmp_path / "b.png")))
    assert named.inputs(other.recipe) is not named.inputs(first.recipe)


def test_the_sheet_says_what_differs_and_what_all_share() -> None:
    axes = [Axis("steps", ("2", "3")), Axis("guidance_rescale", ("0", "1"))]
    layout = layout_of(axes, crossed("steps=2,3", "guidance-rescale=0,1"))
    assert layout.title == "a frog"
    assert layout.across == Labels("steps", ("2", "3"))
    assert layout.down == Labels("guidance rescale", ("0", "1"))
    assert layout.blocks is None
    assert "seed 7" in layout.facts
    assert "steps" not in layout.facts
    one = layout_of([Axis("prompt", ("a", "b"))], crossed("prompt=a,b", asked=Flags(seed="7")))
    assert (one.title, one.down) == ("A grid of pictures", None)
