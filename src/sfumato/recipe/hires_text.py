"""A second drawing, and windows, in the `parameters` text: A1111's own words where it has them.

A1111 counts the steps of its "hires fix" that are drawn, and draws them in one pass; here steps are those of
the whole grid. Both are written.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe.hires import Method, ResolvedHires, ResolvedWindows
from sfumato.recipe.values import MAX_STEPS

_LABELS: Final[Mapping[Method, str]] = {
    "latent": "Latent (bicubic)",
    "lanczos": "Lanczos",
    "learned": "Sfumato 4x",
}


def to_pairs(hires: ResolvedHires | None, windows: ResolvedWindows | None, *, image: bool) -> dict[str, str]:
    """Return the pairs of a drawing; `image`: it begins with one, so that A1111's word for the strength is
    taken.
    """
    pairs: dict[str, str] = {}
    if windows is not None:
        pairs |= {"Windows": str(windows.size), "Window overlap": _number(windows.overlap)}
    if hires is not None:
        pairs |= {
            "Hires upscale": _number(hires.scale),
            "Hires steps": str(hires.num_steps),
            "Hires upscaler": _LABELS[hires.method],
            "Hires strength" if image else "Denoising strength": _number(hires.strength),
            "Hires grid": str(hires.steps),
            "Hires passes": str(len(hires.sizes)),
            "Hires keep": _number(hires.keep),
            "Hires window": str(hires.window),
            "Hires overlap": _number(hires.overlap),
        }
    return pairs


def from_pairs(pairs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the parts that pairs of A1111's text ask for, ours or another program's. Raises RecipeError for
    what is no number.
    """
    parts: list[dict[str, Any]] = []
    if "Windows" in pairs:
        size, overlap = _real(pairs, "Windows"), _real(pairs, "Window overlap")
        parts.append({"kind": "windows", "size": _whole(size), "overlap": overlap})
    scale = _real(pairs, "Hires upscale")
    if scale is None or scale <= 1:  # A1111 writes it for pictures that only became another shape, too
        return parts
    strength = _real(pairs, "Hires strength" if "Hires strength" in pairs else "Denoising strength")
    ours = "Hires grid" in pairs
    steps = _real(pairs, "Hires grid" if ours else "Hires steps" if "Hires steps" in pairs else "Steps")
    if not ours and steps is not None and strength:
        steps = min(steps / strength, float(MAX_STEPS))
    passes = _real(pairs, "Hires passes")
    parts.append(
        {
            "kind": "hires",
            "scale": scale,
            "strength": strength,
            "steps": _whole(steps),
            "method": _method(pairs.get("Hires upscaler", "")),
            "passes": 1 if passes is None else _whole(passes),
            "keep": _real(pairs, "Hires keep") if ours else 0.0,
            "window": _whole(_real(pairs, "Hires window")),
            "overlap": _real(pairs, "Hires overlap"),
        }
    )
    return parts


def _method(label: str) -> Method | None:
    if label.casefold().startswith("latent"):
        return "latent"
    return next((method for method, known in _LABELS.items() if known == label), None)


def _real(pairs: Mapping[str, str], key: str) -> float | None:
    if key not in pairs:
        return None
    try:
        value = float(pairs[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecipeError("must be a number", field=key, value=pairs[key])
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)
