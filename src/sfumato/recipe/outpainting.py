"""How much of an extension is drawn at a time."""

from typing import Final

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe

AT_ONCE: Final = 0.25  # of what is drawn at once, added without passes
USUAL: Final = 0.25  # and in each of them
MOST: Final = 0.75  # a pass must see something to go on from


def window_size(recipe: Recipe, native: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of what is drawn at once: the recipe's, or the model's `native` size, or that
    of the `canvas` where it is smaller.
    """
    width = native[0] if recipe.width is None else recipe.width
    height = native[1] if recipe.height is None else recipe.height
    return min(width, canvas[0]), min(height, canvas[1])


def reach_of(recipe: Recipe, native: tuple[int, int], canvas: tuple[int, int]) -> int:
    """Return how many pixels the recipe's extension adds to a side at a time; 0 when all is drawn at once.

    `canvas` is the size of the extended picture. Raises RecipeError for a reach beside regions, controls,
    windows or a refiner.
    """
    part = recipe.extend
    if part is None:
        return 0
    parts = {"regions": recipe.regions, "controls": recipe.control, "windows": recipe.windows}
    whole = [name for name, part in parts.items() if part is not None]
    once = bool(whole) or recipe.refine is not None
    if part.reach is None:
        width, height = window_size(recipe, native, canvas)
        far = max(part.left, part.right) > AT_ONCE * width or max(part.top, part.bottom) > AT_ONCE * height
        across = [width] * (part.left + part.right > 0) + [height] * (part.top + part.bottom > 0)
        return max(1, int(USUAL * min(across))) if far and not once else 0
    if part.reach > 0 and whole:
        raise RecipeError(
            f"is not possible with {whole[0]}, which lie on the whole picture",
            field="outpaint-step",
            value=part.reach,
            hint="Give 0: all at once.",
        )
    if part.reach > 0 and recipe.refine is not None:
        raise RecipeError(
            "is not possible with a refiner, which ends one drawing",
            field="outpaint-step",
            value=part.reach,
            hint="Give 0: all at once.",
        )
    return part.reach


def check_reach(reach: int, drawn: tuple[int, int], canvas: tuple[int, int]) -> None:
    """Raise RecipeError when a pass that adds `reach` pixels, in a window of the size `drawn`, would see too
    little of what is known.
    """
    sides = [one for one, whole in zip(drawn, canvas, strict=True) if whole > one]
    most = int(MOST * min(sides, default=0))
    if sides and reach > most:
        raise RecipeError(
            f"must be at most {most}, three quarters of what is drawn at once",
            field="outpaint-step",
            value=reach,
            hint="Give less, or 0: all at once.",
        )
