"""From untrusted mappings to recipes: version upgrades, and every mistake as one line.

Works for any pydantic model with a `version` field whose default is the newest version, so that training
recipes go the same way as pictures.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sfumato.errors import RecipeError, closest
from sfumato.recipe.extras import RANGES
from sfumato.recipe.hires import RANGES as HIRES_RANGES
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.refining import RANGES as REFINE_RANGES
from sfumato.recipe.values import (
    MAX_CACHE_INTERVAL,
    MAX_COUNT,
    MAX_GUIDANCE,
    MAX_MIXED,
    MAX_PROMPT_CHARS,
    MAX_RATIO,
    MAX_SEED,
    MAX_SIZE,
    MAX_STEPS,
    MAX_WEIGHT,
)

ModelT = TypeVar("ModelT", bound=BaseModel)
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

UPGRADES: Final[Mapping[tuple[str, int], Upgrade]] = MappingProxyType({})
"""What turns version n of a model into version n + 1: `{("Recipe", 1): recipe_1_to_2}`. Version 1 is the
newest.
"""

_MESSAGES: Final = {
    "missing": "is missing",
    "extra_forbidden": "no such field",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a table of fields",
    "model_attributes_type": "must be a table of fields",
    "union_tag_not_found": "is missing",
    "union_tag_invalid": "no such kind of part",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
_BOUNDS: Final = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
    "string_too_long": ("is too long; characters at most", "max_length"),
    "too_long": ("has too many entries; at most", "max_length"),
}


_RANGES: Final = MappingProxyType(
    {
        "steps": f"1 to {MAX_STEPS}",
        "width": f"1 to {MAX_SIZE}",
        "height": f"1 to {MAX_SIZE}",
        "guidance": f"0 to {MAX_GUIDANCE:g}",
        "image_guidance": f"1 to {MAX_GUIDANCE:g}",
        "guidance_rescale": "0 to 1",
        "guidance_start": "0 to 1, a fraction of the steps",
        "guidance_stop": "0 to 1, a fraction of the steps",
        "eta": "0 to 1",
        "strength": "0 to 1: 0 gives the image back, 1 keeps almost nothing of it",
        "start_step": f"0 to {MAX_STEPS}, at most the number of steps",
        "cache_interval": f"1 to {MAX_CACHE_INTERVAL}",
        "seed": f"0 to {MAX_SEED}, or leave it out for a random one",
        "count": f"1 to {MAX_COUNT}",
        "index": f"0 to {MAX_COUNT - 1}",
        "ratio": f"above 0 and up to {MAX_RATIO:g}",
        **HIRES_RANGES,
        **REFINE_RANGES,
        "variation.strength": "0 to 1: 0 is the picture itself, 1 another one",
        "regions.regions.ratio": "above 0 and up to 1",
        "regions.feather": "0 to 1, a fraction of the shorter side",
        "mask.feather": f"0 to {MAX_SIZE} pixels",
        "weight": f"0 to {MAX_WEIGHT:g}",
        **RANGES,
        "start": "0 to 1, a fraction of the steps",
        "stop": "0 to 1, a fraction of the steps",
        "grow": f"{-MAX_SIZE} to {MAX_SIZE} pixels",
        "padding": f"0 to {MAX_SIZE} pixels",
        **{f"extend.{side}": f"0 to {MAX_SIZE} pixels" for side in ("left", "right", "top", "bottom")},
        "extend.reach": f"0 to {MAX_SIZE} pixels; 0 is all at once",
        "prompt": f"up to {MAX_PROMPT_CHARS} characters",
        "negative": f"up to {MAX_PROMPT_CHARS} characters",
        "prompts": f"1 to {MAX_MIXED} prompts",
        "model": "a name from: sfumato models",
        "sampler": "a name from: sfumato samplers",
        "spacing": "a name from: sfumato samplers",
    }
)
"""The whole range of every field of a picture's recipe, for hints: by its path where names mean several
things.
"""


def read_mapping(
    data: object, model: type[ModelT], *, upgrades: Mapping[tuple[str, int], Upgrade] = UPGRADES
) -> ModelT:
    """Return `data` as a `model`; one of an older version is upgraded first, no version means the newest.

    Raises RecipeError: not a mapping, made by a newer version, an unknown or missing field, or a value that
    is not allowed.
    """
    if not isinstance(data, Mapping):
        raise RecipeError(
            "must be a table of fields", field=model.__name__.lower(), value=type(data).__name__
        )
    fields = dict(cast(Mapping[str, Any], data))
    newest: int = model.model_fields["version"].default
    version: object = fields.get("version", newest)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise RecipeError("must be a whole number from 1 up", field="version", value=_showable(version))
    if version > newest:
        raise RecipeError(
            "made by a newer version of Sfumato",
            field="version",
            value=_showable(version),
            hint=f"This one reads up to {newest}: update Sfumato.",
        )
    for old in range(version, newest):
        fields = {**upgrades[model.__name__, old](fields), "version": old + 1}
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _one_line(error, model) from None


def _one_line(error: ValidationError, model: type[BaseModel]) -> RecipeError:
    details = error.errors(include_url=False)
    # A misspelt field is also a missing one; the spelling is the better clue.
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    kind = detail["type"]
    path = _path(detail["loc"])
    hint = None
    value = _showable(detail["input"])
    if kind in ("missing", "union_tag_not_found"):
        value = None
    if kind == "union_tag_not_found":
        path = f"{path}.{_tag_field(detail)}"
    if kind == "union_tag_invalid" and _tag_field(detail) == "stage":
        path, value = f"{path}.stage", detail.get("ctx", {})["tag"]
        near = closest(str(value), re.findall("'([^']+)'", str(detail.get("ctx", {})["expected_tags"])))
        hint = None if near is None else f"Did you mean {near}?"
    if kind == "extra_forbidden":
        near = closest(str(detail["loc"][-1]), _field_names(model))
        hint = None if near is None else f"Did you mean {near}?"
    field = str(detail["loc"][-1]) if detail["loc"] else ""
    whole_range = _RANGES.get(re.sub(r"\[\d+\]", "", path), _RANGES.get(field))
    if model in (Recipe, Resolved) and whole_range and kind not in ("missing", "extra_forbidden"):
        hint = f"Give {whole_range}."
    if kind == "value_error":
        value = None  # the whole table; our own messages name what is wrong in it
    return RecipeError(_message(detail), field=path, value=value, hint=hint)


def _tag_field(detail: ErrorDetails) -> str:
    """Return the field that tells the kinds of a union apart: "kind" of parts, "stage" of training tasks."""
    return str(detail.get("ctx", {})["discriminator"]).strip("'")


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "union_tag_invalid" and _tag_field(detail) == "stage":
        return f"must be one of {context['expected_tags']}"
    if kind in _MESSAGES:
        return _MESSAGES[kind]
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{words} {context[key]}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _path(location: tuple[int | str, ...]) -> str:
    """Write a place as people would: parts are named by kind, "mix.prompts[0].ratio"; a training task is the
    one table "task", whatever its stage.
    """
    place = list(location)
    if len(place) >= 2 and place[0] == "task":
        del place[1]
    if len(place) >= 3 and place[0] == "parts" and isinstance(place[1], int):
        place = place[2:]
    path = ""
    for item in place:
        path += f"[{item}]" if isinstance(item, int) else f".{item}"
    return path.lstrip(".") if path else "recipe"


def _field_names(model: type[BaseModel]) -> list[str]:
    schema = model.model_json_schema()
    tables: list[dict[str, Any]] = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for table in tables for name in table.get("properties", {})})


def _showable(value: object) -> object:
    # Python refuses to print integers of thousands of digits.
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, list | tuple | dict):
        return f"a {type(cast(object, value)).__name__}"
    return value
