"""The shapes that a model draws well, as chips to choose from."""

from sfumato.errors import RecipeError
from sfumato.recipe.hires import MAX_SCALE, HiresPart
from sfumato.recipe.image import Resolved
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.resolve_hires import resolve_hires

Size = tuple[int, int]
_SHAPES: tuple[tuple[str, float], ...] = (("Square", 1.0), ("Wide", 3 / 2), ("Tall", 2 / 3))


def sizes_of(defaults: ModelDefaults) -> dict[str, Size]:
    """Return sizes in pixels by what they are called, the model's own first: with about as many pixels as it
    was trained on, in multiples that it draws.
    """
    own = (defaults.width, defaults.height)
    sizes = {_called("Square" if own[0] == own[1] else "Own", own): own}
    for name, ratio in _SHAPES:
        area = own[0] * own[1]
        size = (_side(defaults, (area * ratio) ** 0.5), _side(defaults, (area / ratio) ** 0.5))
        if size not in sizes.values():
            sizes[_called(name, size)] = size
    return sizes


def larger_of(run: Resolved, scale: float, own: ModelDefaults) -> Size:
    """Return how large the picture of `run` becomes when it is drawn again `scale` times as large as it came
    out, by a model of these defaults. Raises RecipeError where that is too large.
    """
    before = 1.0 if run.hires is None else run.hires.scale
    limits = {"native": own.width, "multiple": own.multiple, "smallest": own.min_size}
    part = HiresPart(scale=scaled(before, scale))
    return resolve_hires(part, None, (run.width, run.height), run.steps, **limits).sizes[-1]


def scaled(before: float, scale: float) -> float:
    """Return `scale` times as much as `before`. Raises RecipeError for more than recipes can say."""
    if before * scale > MAX_SCALE:
        raise RecipeError(
            f"must be at most {MAX_SCALE:g}", field="hires", value=before * scale, hint="It cannot be larger."
        )
    return before * scale


def _called(name: str, size: Size) -> str:
    return f"{name} {size[0]} x {size[1]}"


def _side(defaults: ModelDefaults, pixels: float) -> int:
    whole = round(pixels / defaults.multiple) * defaults.multiple
    return max(defaults.min_size, min(defaults.max_size, whole))
