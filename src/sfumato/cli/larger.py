"""Options about sizes beyond the model's own, laid over a recipe's parts."""

from typing import TYPE_CHECKING, Any

from sfumato.errors import RecipeError, closest
from sfumato.recipe.hires import METHODS
from sfumato.recipe.numbers import optional_real, optional_whole, real, whole

if TYPE_CHECKING:
    from sfumato.cli.flags import Flags

Parts = dict[str, dict[str, Any]]  # by kind

AUTO, OFF = "auto", "off"


def with_larger(parts: Parts, flags: "Flags") -> Parts:
    """Return `parts` with what `flags` say of a second drawing and of windows. Raises RecipeError."""
    return _with_hires(_with_windows(dict(parts), flags), flags)


def _with_windows(parts: Parts, flags: "Flags") -> Parts:
    if flags.windows is not None:
        named = flags.windows.strip().casefold()
        if named == OFF:
            parts.pop("windows", None)
        else:
            size = None if named == AUTO else _size(flags.windows)
            parts["windows"] = {**parts.get("windows", {"kind": "windows"}), "size": size}
    overlap = optional_real("window-overlap", flags.window_overlap)
    if overlap is not None and "windows" in parts:
        parts["windows"] = {**parts["windows"], "overlap": overlap}
    elif overlap is not None and "hires" not in parts and flags.hires is None:
        hint = "Give --windows auto or --hires 2 as well."
        raise RecipeError("there are no windows", field="window-overlap", value=overlap, hint=hint)
    if "hires" in parts and flags.windows is not None:
        parts["hires"] = {**parts["hires"], "window": None, "overlap": None}  # as the recipe's windows
    return parts


def _with_hires(parts: Parts, flags: "Flags") -> Parts:
    changes: dict[str, Any] = {
        "strength": optional_real("hires-strength", flags.hires_strength),
        "method": None if flags.hires_method is None else _method(flags.hires_method),
        "steps": optional_whole("hires-steps", flags.hires_steps),
        "passes": optional_whole("hires-passes", flags.hires_passes),
        "keep": optional_real("hires-keep", flags.hires_keep),
        "overlap": optional_real("window-overlap", flags.window_overlap),
    }
    asked = {field: value for field, value in changes.items() if value is not None}
    if flags.hires is not None:
        scale = real("hires", flags.hires.strip().removesuffix("x"))
        if scale == 1:
            parts.pop("hires", None)
        else:
            before = {**parts.get("hires", {"kind": "hires"}), "passes": None}
            parts["hires"] = {**before, "scale": scale}
    if "hires" in parts:
        parts["hires"] = {**parts["hires"], **asked}
    elif asked.keys() - {"overlap"}:
        field = next(one for one in asked if one != "overlap")
        hint = "Give --hires 2 as well."
        raise RecipeError("nothing is drawn again", field=f"hires-{field}", value=asked[field], hint=hint)
    return parts


def _method(text: str) -> str:
    name = text.strip().casefold()
    if name in METHODS:
        return name
    near = closest(name, METHODS)
    guess = "" if near is None else f"Did you mean {near}? "
    hint = f"{guess}Choose one of {', '.join(METHODS)}."
    raise RecipeError("unknown name", field="hires-method", value=text, hint=hint)


def _size(text: str) -> int:
    try:
        return whole("windows", text)
    except RecipeError as error:
        hint = f"For example 128; {AUTO} is the model's own size, {OFF} none."
        raise RecipeError(error.message, field="windows", value=text, hint=hint) from None
