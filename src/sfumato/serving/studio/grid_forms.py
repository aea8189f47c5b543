"""From what stands on the tab Grid to its cells: one recipe for every combination of the values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sfumato.engine.crossing import Axis, Cell, Named, axis_of, check_axes, combinations
from sfumato.engine.gathering import NAMES_ONLY
from sfumato.errors import RecipeError, closest
from sfumato.models.folders import is_known, known_folders
from sfumato.models.load import find_model
from sfumato.recipe.labels import split_sampler
from sfumato.recipe.numbers import real, whole
from sfumato.recipe.resolve import random_seed
from sfumato.serving.studio.forms import STYLES, Create, recipe_of_create
from sfumato.settings import Settings

MOST: Final = 24  # cells
#: What can be crossed: fields of `Create`.
CROSSED: Final = ("steps", "guidance", "sampler", "spacing", "seed", "prompt", "style", "model")


@dataclass(frozen=True)
class Direction:
    """What differs along one direction: the name of a setting, one of `CROSSED`, and its values as they were
    typed. Without a name nothing does.
    """

    name: str = ""
    values: str = ""


@dataclass(frozen=True)
class Grid:
    """The form of the tab Grid: what all cells share unless it is crossed, and what differs `across` the
    columns and `down` the rows.
    """

    shared: Create
    across: Direction
    down: Direction = Direction()


def axes_of(form: Grid) -> tuple[Axis, ...]:
    """Return the one or two directions of a grid. Raises RecipeError for values that are none, for one
    setting in both directions, and for more than `MOST` cells.
    """
    if not form.across.name:
        raise RecipeError("names nothing", field="across", hint="Choose what differs from column to column.")
    axes: list[Axis] = []
    for option, one in (("across", form.across), ("down", form.down)):
        if one.name:
            if not one.values.strip():
                raise RecipeError("has no values", field=option, value=one.name, hint="For example 4,8,20.")
            axes.append(axis_of(option, one.name, one.values, CROSSED, MOST))
    check_axes(axes, MOST)
    return tuple(axes)


def cells_of_grid(form: Grid, settings: Settings) -> tuple[tuple[Axis, ...], tuple[Cell, ...]]:
    """Return the directions and the cells of a grid, each with a recipe that has a seed: that of the form,
    else one random one for all.

    Every cell is checked. Raises RecipeError, PictureError and ModelFileError for the first that cannot be
    drawn.
    """
    axes = axes_of(form)
    common = random_seed() if form.shared.seed is None else form.shared.seed
    models: dict[str, Named] = {}
    cells: list[Cell] = []
    for place, values in combinations(axes):
        one = laid_over(replace(form.shared, count=1, seed=common), values)
        if one.model not in models:
            models[one.model] = _model(one.model, settings)
        recipe = recipe_of_create(one)
        if not one.prompt.strip() and not one.loras:
            raise RecipeError("is empty", field="prompt", hint="Write what is to be drawn, such as: a frog")
        cells.append(models[one.model].cell(place, recipe, common))
    return axes, tuple(cells)


def laid_over(form: Create, values: Mapping[str, str]) -> Create:
    """Return `form` with typed `values` in the place of its own, read as the command line reads them. Raises
    RecipeError for what is no number, and no style.
    """
    read: dict[str, Any] = {name: values[name] for name in ("prompt", "model") if name in values}
    read |= {name: whole(name, values[name]) for name in ("steps", "seed") if name in values}
    if "guidance" in values:
        read["guidance"] = real("guidance", values["guidance"])
    if "sampler" in values:
        read["sampler"], spacing = split_sampler(values["sampler"])
        if spacing is not None:
            read["spacing"] = spacing
    if "spacing" in values:
        read["spacing"] = values["spacing"]
    if "style" in values:
        read |= _styled(replace(form, **read), values["style"])
    return replace(form, **read)


def _styled(form: Create, written: str) -> dict[str, str]:
    """Return style and prompt: one of the styles by its name, else words behind the prompt."""
    if not written or written.casefold() in STYLES:
        return {"style": written.casefold() or next(iter(STYLES))}
    return {"style": next(iter(STYLES)), "prompt": f"{form.prompt.strip()}, {written}"}


def _model(name: str, settings: Settings) -> Named:
    # Only by name: what is typed on the page opens no path.
    if not is_known(name, settings):
        near = closest(name, [*known_folders(settings), "bundled"])
        hint = "The tab Models lists them." if near is None else f"Did you mean {near}?"
        raise RecipeError("there is no such model", field="model", value=name, hint=hint)
    return Named(find_model(name, settings, paths=False), settings, NAMES_ONLY)
