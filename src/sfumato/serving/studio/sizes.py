"""The shapes that a model draws well, as chips to choose from."""

from sfumato.recipe.model_defaults import ModelDefaults

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


def _called(name: str, size: Size) -> str:
    return f"{name} {size[0]} x {size[1]}"


def _side(defaults: ModelDefaults, pixels: float) -> int:
    whole = round(pixels / defaults.multiple) * defaults.multiple
    return max(defaults.min_size, min(defaults.max_size, whole))
