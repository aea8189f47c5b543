"""What a recipe may ask of a model whose network is a transformer (Stable Diffusion 3)."""

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe


def check_joint(recipe: Recipe, model: str) -> None:
    """Refuse what is made for UNets, in a recipe for the transformer called `model`. Raises RecipeError."""
    extras, control = recipe.extras, recipe.control
    asked: tuple[tuple[str, object | None], ...] = (
        ("cache_interval", recipe.cache_interval if (recipe.cache_interval or 1) > 1 else None),
        (
            "control",
            None if recipe.control is None else ", ".join(one.model for one in recipe.control.controls),
        ),
        ("lora", None if recipe.adapters is None else "given"),
        ("freeu", None if extras is None or extras.freeu is None else "given"),
        ("pag", None if extras is None else extras.pag or None),
    )
    for field, value in asked:
        if value is not None:
            raise RecipeError(
                f"is made for UNets, and {model} is a transformer (Stable Diffusion 3)",
                field=field,
                value=value,
                hint="Leave it out, or use another model.",
            )
