"""Grids of the page: the same values give the same recipes as on the command line."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.cli.crossing import cross
from sfumato.cli.crossing import parse_axis as parse_option
from sfumato.cli.flags import Flags
from sfumato.engine.crossing import Named
from sfumato.errors import RecipeError
from sfumato.models.load import find_model
from sfumato.recipe.codec import digest
from sfumato.recipe.image import Recipe
from sfumato.serving.studio.forms import Create
from sfumato.serving.studio.grid_forms import (
    CROSSED,
    MOST,
    Direction,
    Grid,
    axes_of,
    cells_of_grid,
    laid_over,
)
from sfumato.settings import Settings

SETTINGS = Settings(data_dir=Path("/nonexistent"), offline=True)
FROG = Create(prompt="a frog", seed=7, steps=4)


@pytest.mark.parametrize(
    ("across", "down"),
    [
        (("steps", "2, 4,8"), ("guidance", "1,2.5")),
        (("seed", "1..3"), ("sampler", "ddim,DPM++ 2M Karras")),
        (("prompt", r"a frog\, at night,two cats"), ("spacing", "trailing,karras")),
        (("sampler", "euler_a,Euler"), None),
    ],
)
def test_the_command_line_draws_the_same(across: tuple[str, str], down: tuple[str, str] | None) -> None:
    form = Grid(FROG, Direction(*across), Direction() if down is None else Direction(*down))
    axes, cells = cells_of_grid(form, SETTINGS)
    written = [f"{name}={values}" for name, values in filter(None, (across, down))]
    options = [parse_option(name, text, 100) for name, text in zip("xy", written, strict=False)]
    assert list(axes) == options
    crossed = {axis.field for axis in options}
    given = {"prompt": "a frog", "seed": "7", "steps": "4"}
    asked = Flags(**{name: value for name, value in given.items() if name not in crossed})  # type: ignore[arg-type]
    others = cross(Recipe(), asked, options, Named(find_model("bundled", SETTINGS), SETTINGS))
    assert [digest(one.resolved) for one in cells] == [digest(one.resolved) for one in others]
    assert [one.place for one in cells] == [one.place for one in others]


def test_cells_have_one_seed_and_say_so() -> None:
    _, cells = cells_of_grid(Grid(replace(FROG, seed=None), Direction("steps", "1,2,3")), SETTINGS)
    seeds = {cell.recipe.seed for cell in cells}
    assert len(seeds) == 1
    assert None not in seeds
    assert {cell.recipe.count for cell in cells} == {1}


def test_styles_are_names_or_words_behind_the_prompt() -> None:
    _, cells = cells_of_grid(Grid(FROG, Direction("style", "as it is,Watercolour,in the rain,")), SETTINGS)
    prompts = [cell.resolved.text.prompt for cell in cells if cell.resolved.text is not None]
    assert prompts == ["a frog", "watercolour of a frog", "a frog, in the rain", "a frog"]
    both = laid_over(FROG, {"style": "in the rain", "prompt": "a cat"})
    assert both.prompt == "a cat, in the rain"


def test_models_are_asked_for_by_name_alone(tmp_path: Path) -> None:
    _, cells = cells_of_grid(Grid(FROG, Direction("model", "bundled")), SETTINGS)
    assert cells[0].recipe.model == "bundled"
    with pytest.raises(RecipeError, match=r"model: there is no such model.*Did you mean bundled"):
        cells_of_grid(Grid(FROG, Direction("model", "bundlet")), SETTINGS)
    with pytest.raises(RecipeError, match="model: there is no such model"):
        cells_of_grid(Grid(FROG, Direction("model", str(tmp_path))), SETTINGS)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Grid(FROG, Direction()), "across: names nothing"),
        (Grid(FROG, Direction("steps", " ")), "across: has no values"),
        (Grid(FROG, Direction("steps", "4"), Direction("count", "2")), "down: is no setting to cross"),
        (Grid(FROG, Direction("steps", "4,8"), Direction("steps", "2")), "steps: stands along two"),
        (Grid(FROG, Direction("steps", "1..5"), Direction("seed", "1..5")), "more than 24 pictures"),
        (Grid(FROG, Direction("seed", "1..25")), "at most 24 numbers"),
    ],
)
def test_what_is_no_grid_is_refused(form: Grid, words: str) -> None:
    assert MOST == 24
    with pytest.raises(RecipeError, match=words):
        axes_of(form)


@pytest.mark.parametrize(
    ("across", "words"),
    [
        (Direction("steps", "4,many"), "steps: must be a whole number"),
        (Direction("guidance", "1,1;5"), "guidance: must be a number"),
        (Direction("sampler", "ddim,eular"), "sampler: unknown sampler"),
        (Direction("prompt", "a frog,"), "prompt: is empty"),
        (Direction("steps", "4,0"), "steps: must be at least 1"),
    ],
)
def test_every_cell_is_checked_before_any_is_drawn(across: Direction, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        cells_of_grid(Grid(FROG, across), SETTINGS)


def test_all_that_can_be_crossed_is_laid_over() -> None:
    values = {"steps": "3", "guidance": "2", "sampler": "ddim", "spacing": "karras", "seed": "9"}
    values |= {"prompt": "a cat", "style": "at night", "model": "bundled"}
    assert set(values) == set(CROSSED)
    assert laid_over(Create(), values) == Create(
        prompt="a cat", style="at night", steps=3, guidance=2.0, sampler="ddim", spacing="karras", seed=9
    )
