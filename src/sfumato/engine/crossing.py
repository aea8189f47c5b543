"""Settings crossed with each other: every combination is a recipe of its own, checked before any is drawn.

What is crossed is text as a person types it, the same for every front end; each says which settings it has,
and makes the recipe of a combination in its own way.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

from sfumato.engine.gathering import TRUSTED, Gathered, Trust, gather
from sfumato.errors import RecipeError, closest
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.imaging.sheet import Labels, Layout, Place
from sfumato.models.load import FoundModel
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.sources import sources_of
from sfumato.settings import Settings

_SPLIT: Final = re.compile(r"(?<!\\),")
_RANGE: Final = re.compile(r"\s*(\d{1,12})\.\.(\d{1,12})\s*")
_EXAMPLE: Final = "Write it as steps=4,8,20."


@dataclass(frozen=True)
class Axis:
    """One direction of a sheet: the `field` that differs, and its `values` as they would be written."""

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

    def cell(self, place: Place, recipe: Recipe, seed: int) -> Cell:
        """Return the cell of `recipe`, with `seed` where it has none. Raises as `sfumato generate` would."""
        return Cell(place, recipe, self.gathered(recipe).resolved(recipe, self.settings, lambda: seed))


def parse_axis(option: str, written: str, names: Collection[str], limit: int) -> Axis:
    """Return the direction that `name=value,value` describes, whose name is one of `names`; mistakes are
    those of `option`. Raises RecipeError as `axis_of` does, and where no values are named.
    """
    name, equals, values = written.partition("=")
    if not equals:
        raise RecipeError("names no values", field=option, value=written, hint=_EXAMPLE)
    return axis_of(option, name, values, names, limit)


def axis_of(option: str, name: str, values: str, names: Collection[str], limit: int) -> Axis:
    """Return the direction of the setting `name`, one of `names`, with `values`.

    Values are separated by commas; a comma inside one is written `\\,`. `1..4` stands for 1,2,3,4. Raises
    RecipeError for a name that is no setting, and for more than `limit` values.
    """
    field = name.strip().removeprefix("--").replace("-", "_")
    if field not in names:
        near = closest(field, names)
        guess = "" if near is None else f"Did you mean {near.replace('_', '-')}? "
        known = ", ".join(one.replace("_", "-") for one in names)
        hint = f"{guess}Choose one of {known}."
        raise RecipeError("is no setting to cross", field=option, value=name, hint=hint)
    found = tuple(value for part in _SPLIT.split(values) for value in _values(option, part, limit))
    if len(found) > limit:
        raise RecipeError(f"more than {limit} values", field=option, value=len(found), hint="Give fewer.")
    return Axis(field, found)


def check_axes(axes: Sequence[Axis], limit: int) -> None:
    """Raise RecipeError for a setting that stands along two directions, and for more than `limit` cells."""
    names = [axis.field for axis in axes]
    for name in names:
        if names.count(name) > 1:
            shown = name.replace("_", "-")
            raise RecipeError("stands along two directions", field=shown, hint="Leave one of them out.")
    if prod(len(axis.values) for axis in axes) > limit:
        raise RecipeError(
            f"these are more than {limit} pictures",
            field="grid",
            value=" x ".join(str(len(axis.values)) for axis in axes),
            hint="Give fewer values.",
        )


def combinations(axes: Sequence[Axis]) -> Iterator[tuple[Place, Mapping[str, str]]]:
    """Yield the place of every cell of one to three `axes` (columns, rows, blocks) and its values by their
    settings, block by block and row by row.
    """
    whole = [*axes, *[Axis("", ("",))] * (3 - len(axes))]
    columns, rows, blocks = ([*enumerate(axis.values)] for axis in whole)
    for block, row, column in product(blocks, rows, columns):
        values = (column[1], row[1], block[1])[: len(axes)]
        fields = (axis.field for axis in axes)
        yield (block[0], row[0], column[0]), dict(zip(fields, values, strict=True))


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
        "model": one.model,
    }
    facts = ", ".join(said for field, said in shared.items() if field not in crossed)
    return Layout(title or "A grid of pictures", facts, axes[0].labels, down, blocks)


def _values(option: str, written: str, limit: int) -> list[str]:
    counted = _RANGE.fullmatch(written)
    if counted is None:
        return [written.replace("\\,", ",").strip()]
    first, last = int(counted[1]), int(counted[2])
    if not first <= last < first + limit:
        hint = f"Write it as 1..4, of at most {limit} numbers."
        raise RecipeError("is no range of numbers", field=option, value=written, hint=hint)
    return [str(number) for number in range(first, last + 1)]
