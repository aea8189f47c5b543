"""What a recipe draws beyond the model's own size, resolved: part of `sfumato.recipe.resolve`."""

from typing import Final

from sfumato.errors import RecipeError
from sfumato.recipe.hires import HiresPart, Method, ResolvedHires, ResolvedWindows, WindowsPart, usual_passes
from sfumato.recipe.values import MAX_SIZE

STRENGTH: Final = 0.2
FURTHER: Final = 0.1  # of passes beyond two times as large: windows see ever less of the picture
METHOD: Final[Method] = "learned"
KEEP: Final = 1.0
OVERLAP: Final = 0.5


def resolve_windows(part: WindowsPart, native: int, multiple: int, smallest: int) -> ResolvedWindows:
    """Return the windows of a drawing. `native` is the side that the model draws best, a multiple of
    `multiple` pixels as all sizes; `smallest` the least it can. Raises RecipeError for windows below that.
    """
    return ResolvedWindows(
        size=_window(part.size, native, multiple, smallest),
        overlap=OVERLAP if part.overlap is None else part.overlap,
    )


def resolve_hires(
    part: HiresPart,
    windows: ResolvedWindows | None,
    drawn: tuple[int, int],
    steps: int,
    *,
    native: int,
    multiple: int,
    smallest: int,
) -> ResolvedHires:
    """Return the passes that follow a drawing of `drawn` (width, height) pixels in `steps`; the rest as for
    `resolve_windows`. Raises RecipeError for a scale that adds nothing, or too much.
    """
    passes = usual_passes(part.scale) if part.passes is None else part.passes
    sizes = tuple(
        tuple(_rounded(side * part.scale ** (number / passes), side, multiple) for side in drawn)
        for number in range(1, passes + 1)
    )
    width, height = sizes[-1]
    if (width, height) == drawn:
        raise RecipeError(
            f"adds nothing to {drawn[0]}x{drawn[1]}, as sizes are multiples of {multiple}",
            field="hires",
            value=part.scale,
            hint="For example 2.",
        )
    if max(width, height) > MAX_SIZE:
        raise RecipeError(
            f"the picture would be {width}x{height}; {MAX_SIZE} a side at most",
            field="hires",
            value=part.scale,
            hint="Ask for less.",
        )
    window = part.window
    if window is None and windows is not None:
        window = windows.size
    usual = STRENGTH if part.scale <= 2 else FURTHER
    overlap = part.overlap
    if overlap is None:
        overlap = OVERLAP if windows is None else windows.overlap
    return ResolvedHires(
        scale=part.scale,
        sizes=tuple((wide, high) for wide, high in sizes),
        strength=usual if part.strength is None else part.strength,
        method=METHOD if part.method is None else part.method,
        steps=steps if part.steps is None else part.steps,
        keep=KEEP if part.keep is None else part.keep,
        window=_window(window, native, multiple, smallest),
        overlap=overlap,
    )


def _rounded(size: float, least: int, multiple: int) -> int:
    return max(least, int(size / multiple + 0.5) * multiple)


def _window(size: int | None, native: int, multiple: int, smallest: int) -> int:
    if size is None:
        return native
    if size < smallest:
        raise RecipeError(
            f"must be at least {smallest} pixels",
            field="windows",
            value=size,
            hint=f"The model is at its best at {native}.",
        )
    return _rounded(size, multiple, multiple)
