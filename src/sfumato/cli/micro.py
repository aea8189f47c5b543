"""Options that tell a model of the picture, laid over a recipe's parts."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.numbers import optional_real

_PAIRS: Final = {
    "micro.original": "original-size",
    "micro.crop": "crop",
    "micro.target": "target-size",
    "micro.negative_original": "negative-original-size",
}
#: The option of each field of a recipe's part micro that has one.
BY_FLAG: Final[Mapping[str, str]] = {
    **_PAIRS,
    **{f"{field}[{place}]": option for field, option in _PAIRS.items() for place in (0, 1)},
    "micro.score": "score",
    "micro.negative_score": "negative-score",
}

_SIZE: Final = re.compile(r"(\d{1,9})(?:[xX](\d{1,9}))?")
_PLACE: Final = re.compile(r"(\d{1,9})\s*,\s*(\d{1,9})")


def with_micro(parts: dict[str, dict[str, Any]], flags: Flags) -> dict[str, dict[str, Any]]:
    """Return `parts`, by kind, with what `flags` say of the picture. Raises RecipeError naming the option."""
    asked = {
        "original": _size("original-size", flags.original_size),
        "crop": _place("crop", flags.crop),
        "target": _size("target-size", flags.target_size),
        "negative_original": _size("negative-original-size", flags.negative_original_size),
        "score": optional_real("score", flags.score),
        "negative_score": optional_real("negative-score", flags.negative_score),
    }
    given = {field: value for field, value in asked.items() if value is not None}
    if not given:
        return parts
    return {**parts, "micro": {**parts.get("micro", {"kind": "micro"}), **given}}


def micro_in_words(micro: MicroPart) -> dict[str, str]:
    """Return names and values of what a model is told of a picture, for people."""
    lines: dict[str, str] = {}
    for field, value in micro.model_dump(exclude={"kind"}).items():
        if isinstance(value, float):
            lines[field.replace("_", " ")] = f"{value:g}"
        else:
            lines[field.replace("_", " ")] = (", " if field.endswith("crop") else "x").join(map(str, value))
    return lines


def _size(field: str, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        hint = "Write 1024x1024, or 1024 for a square."
        raise RecipeError("must be width x height", field=field, value=text, hint=hint)
    return int(match[1]), int(match[1] if match[2] is None else match[2])


def _place(field: str, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _PLACE.fullmatch(text.strip())
    if match is None:
        raise RecipeError("must be X,Y", field=field, value=text, hint="Write 0,64 for example.")
    return int(match[1]), int(match[2])
