"""The options that have another model end the picture, laid over a recipe's parts, and in words."""

from collections.abc import Mapping
from typing import Any, Final

from sfumato.cli.console import warn
from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError, shown
from sfumato.models.folders import is_known
from sfumato.recipe.image import Recipe
from sfumato.recipe.numbers import optional_real
from sfumato.recipe.refining import ResolvedRefine
from sfumato.settings import Settings

OFF: Final = "off"

#: The option of each field of a recipe's part refine.
BY_FLAG: Final[Mapping[str, str]] = {"refine.model": "refiner", "refine.start": "refine-from"}


def with_refining(parts: dict[str, dict[str, Any]], flags: Flags) -> dict[str, dict[str, Any]]:
    """Return `parts`, by kind, with the refiner of `flags`. Raises RecipeError naming the option."""
    start = optional_real("refine-from", flags.refine_from)
    before = parts.get("refine")
    if flags.refiner is not None:
        before = None
        if flags.refiner.strip().lower() != OFF:
            # Whatever weights have that name: those of the drawing before were others.
            before = {**parts.get("refine", {"kind": "refine"}), "model": flags.refiner, "digest": None}
    if before is None:
        if start is not None:
            raise RecipeError(
                "there is no refiner", field="refine-from", value=start, hint="Give --refiner NAME as well."
            )
        return {kind: part for kind, part in parts.items() if kind != "refine"}
    return {**parts, "refine": before if start is None else {**before, "start": start}}


def refine_in_words(part: ResolvedRefine) -> dict[str, str]:
    """Return names and values for people."""
    line = f"{part.model} ({part.digest[:12]}), from {part.start:.3g} of the noise levels on"
    if part.micro is not None and part.micro.score is not None:
        line += f"; score {part.micro.score:g}, negative {part.micro.negative_score:g}"
    return {"refiner": line}


def with_known_refiner(recipe: Recipe, settings: Settings) -> Recipe:
    """Return the recipe of another program's picture without a refiner that is not here, and say so."""
    if recipe.refine is None or is_known(recipe.refine.model, settings):
        return recipe
    warn(f"there is no refiner {shown(recipe.refine.model)} here: --refiner names another")
    parts = tuple(part for part in recipe.parts if part.kind != "refine")
    return recipe.model_copy(update={"parts": parts})
