"""Settings crossed with each other: every combination is a recipe of its own, checked before any is drawn."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod
from typing import Any, Final

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.engine.gathering import TRUSTED, Gathered, Trust, gather
from sfumato.errors import RecipeError, closest
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.imaging.sheet import Labels, Layout, Place
from sfumato.models.load import FoundModel
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.resolve import random_seed
from sfumato.recipe.sources import sources_of
from sfumato.settings import Settings

# One model draws the whole sheet, one picture a cell.
_NOT_CROSSED: Final = ("model", "count", "zero_snr")
#: The fields of `Flags` that can stand along a direction: all that take one value.
CROSSED: Final = tuple(
    one.name for one in fields(Flags) if one.default is None and one.name not in _NOT_CROSSED
)
_SPLIT: Final = re.compile(r"(?<!\\),")
_RANGE: Final = re.compile(r"\s*(\d{1,12})\.\.(\d{1,12})\s*")
_EXAMPLE: Final = "Write it as steps=4,8,20."


@dataclass(frozen=True)
class Axis:
    """One direction of a sheet: the `field` of `Flags`, and its `values` as they would be written."""

    field: str
    values: tuple[str, ...]

    @property
    def labels(self) -> Labels:
        return Labels(self.field.replace("_", " "), self.values)


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of a sheet. `place` is its block, row and column."""

    place: Place
    recipe: Recipe
    resolved: Resolved


@dataclass(eq=False)
class Named:
    """What recipes name beside the model, gathered with `trust`; pictures are read once for all cells that
    name the same.
    """

    found: FoundModel
    settings: Settings
    trust: Trust = TRUSTED
    _named: tuple[tuple[str, str], ...] | None = None
    _read: Inputs | None = None

    def gathered(self, recipe: Recipe) -> Gathered:
        """Return what `recipe` names. Raises RecipeError, PictureError and ModelFileError."""
        return gather(recipe, self.found, self.settings, trust=self.trust, inputs=self.inputs(recipe))

    def inputs(self, recipe: Recipe) -> Inputs:
        """Return the pictures of `recipe`. Raises PictureError."""
        named = tuple(sorted(sources_of(recipe).items()))
        if self._read is None or named != self._named:
            self._named, self._read = named, read_inputs(recipe, self.settings)
        return self._read


def parse_axis(option: str, written: str, limit: int) -> Axis:
    """Return the direction that `--x name=value,value` describes; `option` is "x", "y" or "z".

    Values are separated by commas; a comma inside one is written `\\,`. `1..4` stands for 1,2,3,4. Raises
    RecipeError for a name that is no setting, and for more than `limit` values.
    """
    name, equals, values = written.partition("=")
    field = name.strip().removeprefix("--").replace("-", "_")
    if not equals:
        raise RecipeError("names no values", field=option, value=written, hint=_EXAMPLE)
    if field not in CROSSED:
        near = closest(field, CROSSED)
        guess = "" if near is None else f"Did you mean {near.replace('_', '-')}? "
        names = ", ".join(one.replace("_", "-") for one in CROSSED)
        hint = f"{guess}Choose one of {names}."
        raise RecipeError("is no setting to cross", field=option, value=name, hint=hint)
    found = tuple(value for part in _SPLIT.split(values) for value in _values(option, part, limit))
    if len(found) > limit:
        raise RecipeError(f"more than {limit} values", field=option, value=len(found), hint="Give fewer.")
    return Axis(field, found)


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
    _check(asked, axes, named.settings)
    common = random_seed() if seed is None else seed
    fields_crossed = [axis.field for axis in axes]
    cells: list[Cell] = []
    for place, values in _combinations(axes):
        crossed: dict[str, Any] = dict(zip(fields_crossed, values, strict=True))
        recipe = with_flags(base, replace(asked, **{"count": "1", **crossed}))
        resolved = named.gathered(recipe).resolved(recipe, named.settings, lambda: common)
        cells.append(Cell(place, recipe, resolved))
    return tuple(cells)


def layout_of(axes: Sequence[Axis], cells: Sequence[Cell]) -> Layout:
    """Return the words of a sheet: its title is the prompt where all cells have the same."""
    down, blocks = (*(axis.labels for axis in axes[1:]), None, None)[:2]
    crossed = {axis.field for axis in axes}
    one = cells[0].resolved
    prompts = {"" if cell.resolved.text is None else cell.resolved.text.prompt for cell in cells}
    title = next(iter(prompts)) if len(prompts) == 1 and "prompt" not in crossed else ""
    shared = {
        "seed": f"seed {one.seed}",
        "steps": f"{one.steps} steps",
        "sampler": one.sampler,
        "spacing": one.spacing,
        "guidance": f"guidance {one.guidance:g}",
        "size": f"{one.width}x{one.height}",
    }
    facts = ", ".join([*(said for field, said in shared.items() if field not in crossed), one.model])
    return Layout(title or "A grid of pictures", facts, axes[0].labels, down, blocks)


def _combinations(axes: Sequence[Axis]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Yield the place and the values of every cell, block by block and row by row."""
    whole = [*axes, *[Axis("", ("",))] * (3 - len(axes))]
    columns, rows, blocks = ([*enumerate(axis.values)] for axis in whole)
    for block, row, column in product(blocks, rows, columns):
        values = (column[1], row[1], block[1])[: len(axes)]
        yield (block[0], row[0], column[0]), values


def _check(asked: Flags, axes: Sequence[Axis], settings: Settings) -> None:
    if asked.count is not None:
        hint = "Leave it out; to cross seeds, give --y seed=1..4."
        raise RecipeError("a grid has one picture in each cell", field="count", value=asked.count, hint=hint)
    names = [axis.field for axis in axes]
    for name in names:
        shown = name.replace("_", "-")
        if names.count(name) > 1:
            raise RecipeError("stands along two directions", field=shown, hint="Leave one of them out.")
        if vars(asked)[name] is not None:
            value = vars(asked)[name]
            raise RecipeError("is crossed already", field=shown, value=value, hint="Leave it out here.")
    number = prod(len(axis.values) for axis in axes)
    if number > settings.max_count:
        raise RecipeError(
            f"these are more than {settings.max_count} pictures",
            field="grid",
            value=" x ".join(str(len(axis.values)) for axis in axes),
            hint="Give fewer values.",
        )


def _values(option: str, written: str, limit: int) -> list[str]:
    counted = _RANGE.fullmatch(written)
    if counted is None:
        return [written.replace("\\,", ",").strip()]
    first, last = int(counted[1]), int(counted[2])
    if not first <= last < first + limit:
        hint = f"Write it as 1..4, of at most {limit} numbers."
        raise RecipeError("is no range of numbers", field=option, value=written, hint=hint)
    return [str(number) for number in range(first, last + 1)]
