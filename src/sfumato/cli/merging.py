"""What `sfumato merge` does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sfumato.cli.console import result, result_json, talk
from sfumato.errors import InputError, RecipeError
from sfumato.imaging.writing import write_file
from sfumato.models.merging import NOTE, Merged, merge
from sfumato.models.safetensors_header import read_header
from sfumato.recipe.codec import from_json, from_toml, to_toml
from sfumato.recipe.merge import MergeRecipe
from sfumato.recipe.numbers import real
from sfumato.recipe.validation import read_mapping

KEYS: Final[tuple[str, ...]] = ("a", "b", "c")
SUFFIX: Final = ".safetensors"
MAX_RECIPE_BYTES: Final = 1_000_000


def merge_models(
    models: Sequence[Path],
    output: Path,
    *,
    method: str | None,
    weight: str | None,
    parts: Sequence[str],
    dtype: str | None,
    recipe: Path | None,
    as_json: bool,
) -> None:
    """Merge `models`, or those of `recipe`, into `output`, and write down how. Raises InputError."""
    if output.suffix.lower() != SUFFIX:
        hint = f"For example: --output {output.stem}{SUFFIX}"
        raise InputError("merged models are safetensors files", field="output", value=str(output), hint=hint)
    if not models and recipe is None:
        hint = "For example: sfumato merge a.safetensors b.safetensors --output c.safetensors"
        raise InputError("names no models", field="models", hint=hint)
    fields: dict[str, Any] = {} if recipe is None else recipe_in(recipe).model_dump(exclude_none=True)
    changes: dict[str, Any] = {"method": method, "dtype": dtype}
    changes["weight"] = None if weight is None else real("weight", weight)
    fields |= {name: value for name, value in changes.items() if value is not None}
    fields["parts"] = {**fields.get("parts", {}), **dict(map(_part, parts))}
    if models:
        if not 2 <= len(models) <= len(KEYS):
            hint = "Give two models, or three with --method difference."
            raise InputError("takes two or three models", field="models", value=len(models), hint=hint)
        fields = {name: value for name, value in fields.items() if name not in KEYS}
        fields |= {key: {"name": model.name} for key, model in zip(KEYS, models, strict=False)}
    wanted = read_mapping(fields, MergeRecipe)
    places: Mapping[str, Path] = (
        dict(zip(KEYS, models, strict=False)) if recipe is None or models else _beside(wanted, recipe)
    )
    done = merge(wanted, places, output)
    note = output.with_suffix(".toml")
    write_file(note, to_toml(done.recipe).encode())
    if as_json:
        result_json(_as_data(done, note))
        return
    kept = f", {done.kept} kept from {done.recipe.a.name}" if done.kept else ""
    left = f", {done.left_out} left out" if done.left_out else ""
    talk(f"{done.merged} tensors merged{kept}{left}; the recipe is in {note}")
    result(str(output))


def recipe_in(path: Path) -> MergeRecipe:
    """Return the recipe in `path`: TOML, or a merged model. Raises InputError."""
    if path.suffix.lower() == SUFFIX:
        text = read_header(path, field="recipe").metadata.get(NOTE)
        if text is None:
            hint = "Only what sfumato merge made has one in its metadata."
            raise RecipeError("is no merged model", field="recipe", value=str(path), hint=hint)
        return from_json(text, MergeRecipe)
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise RecipeError("is too large for a recipe", field="recipe", value=str(path))
        return from_toml(path.read_bytes(), MergeRecipe)
    except OSError as error:
        raise RecipeError(f"cannot be read ({error.strerror})", field="recipe", value=str(path)) from error


def _beside(wanted: MergeRecipe, recipe: Path) -> Mapping[str, Path]:
    named = {"a": wanted.a, "b": wanted.b} | ({} if wanted.c is None else {"c": wanted.c})
    places: dict[str, Path] = {}
    for key, model in named.items():
        if Path(model.name).name != model.name:
            hint = "A recipe names files in its own folder; give the models on the command line."
            raise RecipeError("is no file name", field=f"{key}.name", value=model.name, hint=hint)
        places[key] = recipe.parent / model.name
    return places


def _part(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        hint = "For example: --part IN00=0.3 --part VAE=0"
        raise InputError("has no weight", field="part", value=text, hint=hint)
    return name.strip().upper(), real(f"part {name.strip()}", value.strip())


def _as_data(done: Merged, note: Path) -> dict[str, Any]:
    return {
        "path": str(done.path),
        "recipe": str(note),
        "merged": done.merged,
        "kept": done.kept,
        "left_out": done.left_out,
        "num_bytes": done.num_bytes,
    }
