"""Options that steer the sampling, laid over a recipe's parts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.numbers import real, whole

OFF: Final = "off"
_EXAMPLES: Final = {"apg": "0", "freeu": "1.2,1.4,0.9,0.2"}

#: The option of each field of a recipe's part extras.
BY_FLAG: Final[Mapping[str, str]] = {
    "extras": "tiling",  # what tiling does not go together with
    "extras.clip_skip": "clip-skip",
    "extras.tiling": "tiling",
    "extras.threshold": "threshold",
    "extras.pag": "pag",
    **{f"extras.apg.{name}": "apg" for name in ("eta", "norm", "momentum")},
    **{f"extras.freeu.{name}": "freeu" for name in ("b1", "b2", "s1", "s2")},
}


def with_extras(parts: dict[str, dict[str, Any]], flags: Flags) -> dict[str, dict[str, Any]]:
    """Return `parts`, by kind, with what `flags` say of extras. Raises RecipeError naming the option."""
    asked: dict[str, Any] = {}
    for field, text in (("tiling", flags.tiling), ("threshold", flags.threshold)):
        if text is not None:
            asked[field] = None if _is_off(text) else text.strip().lower()
    if asked.get("threshold") is not None:
        asked["threshold"] = real("threshold", asked["threshold"])
    if flags.clip_skip is not None:
        asked["clip_skip"] = whole("clip-skip", flags.clip_skip)
    if flags.pag is not None:
        asked["pag"] = None if _is_off(flags.pag) else real("pag", flags.pag)
    for field, text, names, least in (
        ("apg", flags.apg, ("eta", "norm", "momentum"), 1),
        ("freeu", flags.freeu, ("b1", "b2", "s1", "s2"), 4),
    ):
        if text is not None:
            asked[field] = None if _is_off(text) else _table(field, text, names, least)
    if not asked:
        return parts
    extras = {**parts.get("extras", {"kind": "extras"}), **asked}
    return {**parts, "extras": extras}


def extras_in_words(extras: ExtrasPart) -> dict[str, str]:
    """Return names and values of what is on, for people."""
    lines: dict[str, str] = {}
    data: dict[str, Any] = extras.model_dump(exclude={"kind"})
    for field, value in data.items():
        words = str(value)
        if isinstance(value, dict):
            numbers = cast(dict[str, float], value)
            words = ", ".join(f"{name} {number:g}" for name, number in numbers.items())
        lines[field.replace("_", " ")] = words
    return lines


def _is_off(text: str) -> bool:
    return text.strip().lower() == OFF


def _table(flag: str, text: str, names: Sequence[str], least: int) -> dict[str, float]:
    numbers = text.split(",")
    if not least <= len(numbers) <= len(names):
        listed = ", ".join(names)
        hint = f"For example --{flag} {_EXAMPLES[flag]}."
        raise RecipeError(f"must be numbers for {listed}", field=flag, value=text, hint=hint)
    return {name: real(flag, number) for name, number in zip(names, numbers, strict=False)}
