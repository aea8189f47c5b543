"""Options crossed with each other: every combination is what the same flags would have given."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.engine import crossing
from sfumato.engine.crossing import Axis, Cell, Named, check_axes, combinations
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import random_seed

# One model draws the whole sheet, one picture a cell.
_NOT_CROSSED: Final = ("model", "count", "zero_snr")
#: The fields of `Flags` that can stand along a direction: all that take one value.
CROSSED: Final = tuple(
    one.name for one in fields(Flags) if one.default is None and one.name not in _NOT_CROSSED
)


def parse_axis(option: str, written: str, limit: int) -> Axis:
    """Return the direction that `--x name=value,value` describes; `option` is "x", "y" or "z". Raises
    RecipeError as `sfumato.engine.crossing.parse_axis` does.
    """
    return crossing.parse_axis(option, written, CROSSED, limit)


def cross(
    base: Recipe,
    asked: Flags,
    axes: Sequence[Axis],
    named: Named,
    seed: int | None = None,
) -> tuple[Cell, ...]:
    """Return a cell for every combination of the values of one to three `axes`: columns, rows, blocks.

    Every one is `base` with `asked` and its values laid over it. All have one seed: that of the recipe, else
    `seed`, else a random one, unless the seed is crossed. Raises RecipeError, PictureError and ModelFileError
    as `sfumato generate` would with the values of the first combination that cannot be drawn.
    """
    _check(asked, axes)
    check_axes(axes, named.settings.max_count)
    common = random_seed() if seed is None else seed
    cells: list[Cell] = []
    for place, values in combinations(axes):
        changes: dict[str, Any] = {"count": "1", **values}
        cells.append(named.cell(place, with_flags(base, replace(asked, **changes)), common))
    return tuple(cells)


def _check(asked: Flags, axes: Sequence[Axis]) -> None:
    if asked.count is not None:
        hint = "Leave it out; to cross seeds, give --y seed=1..4."
        raise RecipeError("a grid has one picture in each cell", field="count", value=asked.count, hint=hint)
    for axis in axes:
        if vars(asked)[axis.field] is not None:
            shown, value = axis.field.replace("_", "-"), vars(asked)[axis.field]
            raise RecipeError("is crossed already", field=shown, value=value, hint="Leave it out here.")
