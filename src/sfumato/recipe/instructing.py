"""Models that are edited by instructions, and what goes with them: part of `sfumato.recipe.resolve`."""

from typing import Final

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe

IMAGE_GUIDANCE: Final = 1.5
"""How strictly the picture is followed when nothing is said: as in Brooks et al. 2023 (arXiv 2211.09800)."""


def resolve_image_guidance(recipe: Recipe, name: str, *, instructed: bool) -> float | None:
    """Return how strictly the model called `name` follows the recipe's picture, 1 or more; None for a model
    that is not `instructed`.

    Raises RecipeError for image guidance with another model, and for a recipe that begins without a picture,
    or with one of which the model cannot be shown all that it will draw.
    """
    if not instructed:
        if recipe.image_guidance is not None:
            raise RecipeError(
                f"is for models that are edited by instructions, and {name} is none",
                field="image-guidance",
                value=recipe.image_guidance,
                hint="Leave it out (off where a picture's recipe has it), or name a model of the family of "
                "instruct-pix2pix.",
            )
        return None
    if recipe.image is None:
        raise RecipeError(
            f"is missing, and {name} changes a picture as the prompt says",
            field="image",
            hint='Add the picture: --image FILE; the prompt is an instruction, "make it night".',
        )
    if recipe.extend is not None:
        raise RecipeError(
            f"is not possible with {name}, which changes what it is shown",
            field="outpaint",
            hint="Extend the picture with another model, before or after.",
        )
    if recipe.mask is not None and recipe.mask.fill == "blur":
        raise RecipeError(
            f"is not possible with {name}, which is shown all of the picture",
            field="mask-fill",
            value=recipe.mask.fill,
            hint="Leave it out, or give noise or original.",
        )
    return IMAGE_GUIDANCE if recipe.image_guidance is None else recipe.image_guidance
