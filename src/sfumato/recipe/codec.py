"""Recipes as JSON and TOML, their digest, and their JSON schema.

JSON is canonical: sorted keys, no spaces, UTF-8, every field written. One recipe has one text, and so one
digest, whichever front end it came through. The A1111 text lives in `sfumato.recipe.infotext` and can be had
from here too.

``python -m sfumato.recipe.codec --schema`` prints the schema that is committed as `recipe.schema.json`.
"""

import hashlib
import json
import sys
import tomllib
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.toml import dump_toml
from sfumato.recipe.validation import read_mapping

__all__ = [
    "digest",
    "from_json",
    "from_toml",
    "parse_parameters",
    "schema",
    "schema_text",
    "to_json",
    "to_parameters",
    "to_toml",
]

ModelT = TypeVar("ModelT", bound=BaseModel)


def to_json(document: BaseModel) -> str:
    """Return the canonical JSON of a recipe or a resolved recipe (image or training)."""
    data = document.model_dump(mode="python")
    return json.dumps(data, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def from_json(text: str | bytes, model: type[ModelT]) -> ModelT:
    """Read JSON of the kind `model`: `from_json(text, Recipe)`, `from_json(text, Resolved)`.

    An older version is upgraded. Raises RecipeError: no JSON, made by a newer version, or a field that is not
    allowed.
    """
    try:
        data: object = json.loads(_decoded(text), parse_constant=_refuse_constant)
    except RecursionError:
        raise RecipeError("is nested too deeply", field="recipe") from None
    except ValueError as error:  # includes json.JSONDecodeError
        raise RecipeError(f"is not JSON: {error}", field="recipe") from None
    return read_mapping(data, model)


def to_toml(document: BaseModel) -> str:
    """Return a recipe as TOML for people. Fields that are None are left out."""
    return dump_toml(document.model_dump(mode="python"))


def from_toml(text: str | bytes, model: type[ModelT]) -> ModelT:
    """Read TOML of the kind `model`, as `from_json` does."""
    try:
        data = tomllib.loads(_decoded(text))
    except RecursionError:
        raise RecipeError("is nested too deeply", field="recipe") from None
    except ValueError as error:  # includes tomllib.TOMLDecodeError
        raise RecipeError(f"is not TOML: {error}", field="recipe") from None
    return read_mapping(data, model)


def digest(resolved: Resolved) -> str:
    """Return the SHA-256 of the canonical JSON, 64 hex digits: the name of a job and of its cache entries."""
    return hashlib.sha256(to_json(resolved).encode()).hexdigest()


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of `Recipe`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


def schema_text() -> str:
    """Return the schema as it is committed in `recipe.schema.json`."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _decoded(text: str | bytes) -> str:
    # UnicodeDecodeError is a ValueError: both readers report it.
    return text if isinstance(text, str) else text.decode("utf-8")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _main(arguments: list[str]) -> int:
    if arguments != ["--schema"]:
        sys.stderr.write("usage: python -m sfumato.recipe.codec --schema > recipe.schema.json\n")
        return 2
    sys.stdout.write(schema_text())
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
