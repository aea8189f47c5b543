"""The finer points as they stand on the page: from what is typed to the form, and back."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, Final, Literal

from sfumato.errors import RecipeError
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.serving.studio.finer_forms import PLAIN, Finer

Kind = Literal["number", "numbers", "whole", "size", "place", "choice", "switch"]
#: How each field of the form is typed; the names are those of `Finer`, in their order.
KIND_OF: Final[Mapping[str, Kind]] = {
    "rescale": "number",
    "image_guidance": "number",
    "apg": "numbers",
    "threshold": "number",
    "pag": "number",
    "freeu": "numbers",
    "refiner": "choice",
    "refine_from": "number",
    "vae": "choice",
    "clip_skip": "whole",
    "hires": "number",
    "hires_strength": "number",
    "hires_method": "choice",
    "hires_steps": "whole",
    "hires_passes": "whole",
    "hires_keep": "number",
    "windows": "switch",
    "window": "whole",
    "overlap": "number",
    "fast": "switch",
    "cache_interval": "whole",
    "eta": "number",
    "tiling": "choice",
    "prediction": "choice",
    "zero_snr": "choice",
    "variation": "number",
    "variation_seed": "whole",
    "original": "size",
    "crop": "place",
    "target": "size",
    "negative_original": "size",
    "score": "number",
    "negative_score": "number",
}
YES, NO = "yes", "no"
_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,20}([.,][0-9]{0,40})?|[.,][0-9]{1,40})")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,29}")
_PAIRS: Final[Mapping[Kind, tuple[re.Pattern[str], str]]] = {
    # People paste the sign.
    "size": (re.compile(r"([0-9]{1,5})(?:\s*[xX×]\s*([0-9]{1,5}))?"), "Write 1024 x 1024."),  # noqa: RUF001
    "place": (re.compile(r"([0-9]{1,5})\s*[,;]\s*([0-9]{1,5})"), "Write 0, 64."),
}
_SIZES: Final = ("original", "crop", "negative_original")


def read(values: Mapping[str, Any]) -> Finer:
    """Return the form whose fields hold these values, by the names of `KIND_OF`. Raises RecipeError naming
    the field for what is no number, no size and no place.
    """
    return Finer(**{name: _read(name, kind, values[name]) for name, kind in KIND_OF.items()})


def written(finer: Finer) -> dict[str, Any]:
    """Return what stands in the fields when they ask for this: `read` gives it back."""
    return {name: _written(kind, vars(finer)[name]) for name, kind in KIND_OF.items()}


def not_offered(own: ModelDefaults, refiner: ModelDefaults | None = None) -> frozenset[str]:
    """Return the fields that say nothing to a model, nor to its refiner."""
    both = (own,) if refiner is None else (own, refiner)
    names: set[str] = set()
    if not own.instructed:
        names.add("image_guidance")
    if own.joint or not own.middle_attends:
        names.add("pag")
    if own.joint:
        names |= {"freeu", "cache_interval"}
    if own.instructed or own.upscales:
        names |= {"refiner", "refine_from"}
    if not any(one.told.sizes for one in both):
        names |= {*_SIZES}
    if not any(one.told.sizes and not one.told.score for one in both):
        names.add("target")
    if not any(one.told.score for one in both):
        names |= {"score", "negative_score"}
    return frozenset(names)


def without(finer: Finer, names: frozenset[str]) -> Finer:
    """Return the form with these fields empty."""
    return replace(finer, **{name: vars(PLAIN)[name] for name in names})


def set_in(finer: Finer) -> tuple[str, ...]:
    """Return the names of the fields that say something."""
    return tuple(one.name for one in fields(finer) if vars(finer)[one.name] != vars(PLAIN)[one.name])


def _read(name: str, kind: Kind, value: Any) -> Any:
    if kind == "switch":
        return bool(value)
    text = str(value or "").strip()
    if name == "zero_snr":
        return {YES: True, NO: False}.get(text)
    if kind == "choice":
        return text
    if not text:
        return None
    field = name.replace("_", "-")
    if kind == "numbers":
        # Commas stand within numbers where semicolons are between them, and points nowhere.
        between = ";" if ";" in text and "." not in text else "[,;]"
        return tuple(_number(field, one) for one in re.split(between, text))
    if kind == "number":
        return _number(field, text)
    if kind == "whole":
        if _WHOLE.fullmatch(text) is None:
            hint = "Give digits, or leave it empty."
            raise RecipeError("is no whole number", field=field, value=value, hint=hint)
        return int(text)
    return _pair(field, kind, text)


def _number(field: str, text: str) -> float:
    if _NUMBER.fullmatch(text.strip()) is None:
        hint = "Give one like 0.5, or leave it empty."
        raise RecipeError("is no number", field=field, value=text, hint=hint)
    return float(text.replace(",", "."))


def _pair(field: str, kind: Kind, text: str) -> tuple[int, int]:
    pattern, hint = _PAIRS[kind]
    found = pattern.fullmatch(text)
    if found is None:
        what = "is no size" if kind == "size" else "is no place"
        raise RecipeError(what, field=field, value=text, hint=hint)
    return int(found[1]), int(found[1] if found[2] is None else found[2])


def _written(kind: Kind, value: Any) -> Any:
    if kind == "switch":
        return value
    if value is None:
        return ""
    if kind == "numbers":
        return ", ".join(_decimal(one) for one in value)
    if kind == "number":
        return _decimal(value)
    if kind in _PAIRS:
        return (" x " if kind == "size" else ", ").join(map(str, value))
    if isinstance(value, bool):
        return YES if value else NO
    return str(value)


def _decimal(number: float) -> str:
    """Return a number with all its digits and without an exponent."""
    return format(Decimal(f"{number:.12g}"), "f")
