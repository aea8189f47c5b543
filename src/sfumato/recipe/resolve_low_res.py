"""A small picture for an upscaling model, resolved: part of `sfumato.recipe.resolve`."""

from typing import Final

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.resolve_edits import Sources, facts_of, source_of
from sfumato.recipe.resolved_parts import ResolvedLowRes

NOISE_LEVEL: Final = 20


def check_family(recipe: Recipe, name: str, upscales: int) -> None:
    """Raise RecipeError unless the recipe shows the model called `name` a small picture exactly when that
    takes one. `upscales` is how many times as large it draws it, 0 for a model that takes none.
    """
    if recipe.low_res is None and upscales > 0:
        raise RecipeError(
            "is an upscaler, and needs a small picture to make larger",
            field="model",
            value=name,
            hint=f'Run: sfumato upscale PICTURE --model {name} --prompt "what it shows"',
        )
    if recipe.low_res is not None and upscales == 0:
        raise RecipeError(
            "is no upscaler: it takes no small picture to make larger",
            field="model",
            value=name,
            hint="Name a folder of the family of stable-diffusion-x4-upscaler; or begin with an image part.",
        )


def low_res_size(
    recipe: Recipe, part: LowResPart, upscales: int, largest: int, sources: Sources
) -> tuple[int, int]:
    """Return the width and height to draw: what the recipe says, else `upscales` times the picture. Raises
    RecipeError where the picture would become larger than `largest` pixels a side.
    """
    facts = facts_of(part.source, "low-res", sources)
    width = upscales * facts.width if recipe.width is None else recipe.width
    height = upscales * facts.height if recipe.height is None else recipe.height
    if max(width, height) > largest:
        raise RecipeError(
            f"would become {width}x{height}, and this model draws {largest} pixels a side at most",
            field="picture",
            value=f"{facts.width}x{facts.height}",
            hint=f"Make it smaller first, to {largest // upscales} pixels a side.",
        )
    return width, height


def resolve_low_res(part: LowResPart, max_noise_level: int, sources: Sources) -> ResolvedLowRes:
    """Return the part with nothing left open. Raises RecipeError for more noise than the model knows."""
    level = min(NOISE_LEVEL, max_noise_level) if part.noise_level is None else part.noise_level
    if level > max_noise_level:
        raise RecipeError(
            f"must be at most {max_noise_level}",
            field="noise-level",
            value=level,
            hint="The model was trained on no more noise than that; 20 is usual.",
        )
    return ResolvedLowRes(source=source_of(facts_of(part.source, "low-res", sources)), noise_level=level)
