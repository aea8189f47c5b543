"""What a recipe may ask of a model whose network is a transformer (Stable Diffusion 3)."""

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import AdaptersPart
from sfumato.recipe.extras import FreeU
from sfumato.recipe.image import Recipe


def check_joint(recipe: Recipe, model: str) -> None:
    """Refuse what is made for UNets, in a recipe for the transformer called `model`. Raises RecipeError."""
    extras, control = recipe.extras, recipe.control
    interval = recipe.cache_interval
    asked: tuple[tuple[str, object | None], ...] = (
        ("cache_interval", None if interval == 1 else interval),
        ("control", None if control is None else ", ".join(one.model for one in control.controls)),
        ("lora", None if recipe.adapters is None else _names(recipe.adapters)),
        ("freeu", None if extras is None or extras.freeu is None else _factors(extras.freeu)),
        ("pag", None if extras is None or extras.pag == 0 else extras.pag),
    )
    for field, value in asked:
        if value is not None:
            raise RecipeError(
                f"is made for UNets, and {model} is a transformer (Stable Diffusion 3)",
                field=field,
                value=value,
                hint="Leave it out, or use another model.",
            )


def _names(adapters: AdaptersPart) -> str:
    return ", ".join(one.name for one in (*adapters.adapters, *adapters.embeddings))


def _factors(freeu: FreeU) -> str:
    return ",".join(f"{one:g}" for one in (freeu.b1, freeu.b2, freeu.s1, freeu.s2))
