"""The part of a recipe for a refiner, resolved, and what each of the two models is told of the picture."""

from collections.abc import Sequence
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe.extras import settled
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart, Told, check_guidance, resolve_micro
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import Part
from sfumato.recipe.refining import RefinePart, ResolvedRefine
from sfumato.recipe.resolved_parts import ResolvedPart, ResolvedText

_TARGETS: Final = ("target", "negative_target")
_SCORES: Final = ("score", "negative_score")


def resolve_told(
    recipe: Recipe, parts: Sequence[ResolvedPart], model: str, told: Told, refiner: ModelDefaults | None
) -> tuple[MicroPart | None, ResolvedRefine | None]:
    """Return what the model of this name is told of the picture, and the refiner with what that is told;
    `parts` are those that are resolved already.

    With a refiner, one part says what both are told: what only one of the two knows, such as a score, is that
    one's. Raises RecipeError for what neither is told, and for what the refiner cannot do.
    """
    part = recipe.refine
    if part is None:
        return resolve_micro(recipe.micro, model, told), None
    if refiner is None:
        raise RecipeError("this refiner was not found", field="refiner", value=part.model)
    _check(recipe, parts, part, refiner)
    own = resolve_micro(_known(recipe.micro, told, refiner.told), model, told)
    its = resolve_micro(_known(recipe.micro, refiner.told, told), refiner.name, refiner.told)
    name, digest = refiner.name, refiner.digest
    return own, ResolvedRefine(model=name, digest=digest, start=part.start, micro=its)


def asked_refine(part: ResolvedRefine, others: Sequence[Part]) -> list[Part]:
    """Return the parts of a recipe, `others` with that of the refiner: one part micro says again what both
    models are told.
    """
    told = [one for one in others if isinstance(one, MicroPart)]
    kept: list[Part] = [one for one in others if not isinstance(one, MicroPart)]
    if part.micro is not None:
        told.insert(0, part.micro)
    fields: dict[str, Any] = {}
    for one in told:
        fields |= one.model_dump()
    if told:
        kept.append(MicroPart(**fields))
    return [*kept, RefinePart(model=part.model, start=part.start, digest=part.digest)]


def _check(recipe: Recipe, parts: Sequence[ResolvedPart], part: RefinePart, refiner: ModelDefaults) -> None:
    """Raise RecipeError for what the refiner cannot do as well as the recipe's model."""
    if part.digest is not None and not refiner.digest.startswith(part.digest):
        raise RecipeError(
            "has other weights than the refiner that is asked for",
            field="refiner",
            value=part.model,
            hint="Name the right one, or one to take in its place: --refiner NAME.",
        )
    if recipe.extras is not None:
        settled(recipe.extras, refiner.name, refiner.text_layers, attends=refiner.middle_attends)
    text = next((one for one in parts if isinstance(one, ResolvedText)), None)
    if refiner.told.guidance and text is not None:
        check_guidance(text.guidance_start, text.guidance_stop, refiner.name)


def _known(part: MicroPart | None, told: Told, other: Told) -> MicroPart | None:
    """Return `part` without what a model that is `told` so does not know and the `other` one does."""
    if part is None:
        return None
    given: dict[str, Any] = part.model_dump(exclude={"kind"})
    kept = {
        field: value for field, value in given.items() if _is_told(field, told) or not _is_told(field, other)
    }
    return MicroPart(**kept)


def _is_told(field: str, told: Told) -> bool:
    if field in _SCORES:
        return told.score
    return told.sizes and not (told.score and field in _TARGETS)
