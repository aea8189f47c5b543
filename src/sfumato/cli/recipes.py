"""Recipes from the outside: flags laid over a recipe, recipe files, and pictures' own metadata."""

import json
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.cli import extras, micro, of_model, refining
from sfumato.cli.console import warn
from sfumato.cli.edits import with_edits
from sfumato.cli.flags import Flags
from sfumato.engine.gathering import TRUSTED, Trust
from sfumato.errors import InputError, PictureError, RecipeError, shown
from sfumato.imaging.io import FORMAT_OF, suffix_of
from sfumato.imaging.metadata import read_metadata, read_parameters
from sfumato.models.folders import BUNDLED, is_known
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.codec import from_json, from_toml, parse_parameters
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.labels import ETA_SAMPLERS, split_sampler
from sfumato.recipe.numbers import optional_real, real, whole
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.recipe.sources import beside
from sfumato.recipe.values import MAX_PROMPT_CHARS
from sfumato.settings import Settings

MAX_RECIPE_BYTES = 64_000_000
STDIN = "-"

_BY_FLAG = {
    "image.source": "image",
    "image.start_step": "start-step",
    "image.keep_colour": "keep-colour",
    "mask.source": "mask",
    "mask.area": "mask",
    "mask.extent": "masked-only",
    **{f"mask.{name}": f"mask-{name}" for name in ("invert", "grow", "feather", "fill", "soft", "padding")},
    "regions.feather": "region-feather",
    "hires.scale": "hires",
    **{f"hires.{name}": f"hires-{name}" for name in ("strength", "method", "steps", "passes", "keep")},
    "hires.overlap": "window-overlap",
    "windows.size": "windows",
    "windows.overlap": "window-overlap",
    "variation.strength": "variation",
    "variation.seed": "variation-seed",
    **extras.BY_FLAG,
    **micro.BY_FLAG,
    **of_model.BY_FLAG,
    **refining.BY_FLAG,
    "adapters.adapters": "lora",
    **{f"extend.{side}": "outpaint" for side in ("left", "right", "top", "bottom")},
    "extend.reach": "outpaint-step",
}
_OF_PICTURES = (
    "control",
    "image",
    "mask",
    "extend",
    "windows",
    "hires",
    "variation",
    "extras",
    "vae",
    "schedule",
    "adapters",
    "refine",
)  # what can be drawn without any prompt
_CONTROL = re.compile(r"control\.controls\[(\d+)\](?:\.(\w+))?")
_MIXED = re.compile(r"mix\.prompts\[(\d+)\]")
_SIZE = re.compile(r"(\d{1,9})(?:[xX×](\d{1,9}))?")  # noqa: RUF001 - people paste the sign


def with_flags(base: Recipe, flags: Flags) -> Recipe:
    """Return `base` with everything that `flags` ask for. Raises RecipeError naming flag, value and hint."""
    data: dict[str, Any] = base.model_dump()
    if flags.fast:
        data = _opened(data)
    numbers = {"seed": flags.seed, "count": flags.count, "steps": flags.steps}
    for field, text in {**numbers, "cache_interval": flags.cache_interval}.items():
        if text is not None:
            data[field] = whole(field.replace("_", "-"), text)
    if flags.size is not None:
        data["width"], data["height"] = _size(flags.size)
    elif flags.outpaint is not None or flags.outpaint_step is not None:
        data["width"] = data["height"] = None  # of the drawing before, which was another one
    if flags.sampler is not None:
        data["sampler"], spacing = split_sampler(flags.sampler)
        if spacing is not None:
            data["spacing"] = spacing
        if data["sampler"] not in ETA_SAMPLERS:
            data["eta"] = None  # the old sampler's
    if flags.eta is not None:
        data["eta"] = real("eta", flags.eta)
    if flags.spacing is not None:
        data["spacing"] = flags.spacing
    if flags.guidance is not None:
        data["guidance"] = real("guidance", flags.guidance)
    if flags.image_guidance is not None:
        off = flags.image_guidance.strip().casefold() == extras.OFF
        data["image_guidance"] = None if off else real("image-guidance", flags.image_guidance)
    if flags.model is not None:
        data["model"] = flags.model
    data["parts"] = _parts(data["parts"], flags)
    try:
        return recipe_from_mapping(data)
    except RecipeError as error:
        raise _named_by_flag(error, flags) from None


def warn_of_no_effect(recipe: Recipe, flags: Flags) -> None:
    """Warn of flags that cannot change what `recipe` draws, and of what it says of another model."""
    of_model.warn_of_training(recipe, flags)
    if flags.guidance is not None and not recipe.parts:
        warn("--guidance has no effect: there is no prompt to follow; --prompt or PROMPT gives one")


def _opened(data: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's fields with open what a fast recipe fills: pictures carry all of them."""
    window = {"guidance_start": None, "guidance_stop": None}
    parts = [{**part, **window} if part["kind"] == "text" else part for part in data["parts"]]
    return {**data, "fast": True, "cache_interval": None, "parts": parts}


def _named_by_flag(error: RecipeError, flags: Flags) -> RecipeError:
    """Return `error` about a recipe's field as one about the option that was given, with its value."""
    field, value = error.field or "", error.value
    mixed = _MIXED.match(field)
    if mixed is not None:
        field, value = "mix", flags.mix[int(mixed[1])] if flags.mix else value
    elif (control := _CONTROL.match(field)) is not None:
        known = {"source": "control", None: "control-start"}  # a span that ends before it begins
        field = known.get(control[2], f"control-{control[2]}")
    elif field in ("width", "height"):
        field, value = "size", flags.size
    elif field == "text":  # a window that ends before it begins
        field = "guidance-start"
    elif field == "mix.mode":
        field = "mix-mode"
    elif field in _BY_FLAG:
        field = _BY_FLAG[field]
    else:
        field = field.removeprefix("text.").removeprefix("image.").replace("_", "-")
    hint = None if error.hint is None else error.hint.replace("leave it out", f"leave --{field} out")
    return RecipeError(error.message, field=field, value=value, hint=hint)


def with_stdin(flags: Flags) -> Flags:
    """Return `flags` with the prompt "-" replaced by what standard input holds."""
    if flags.prompt != STDIN:
        return flags
    data = sys.stdin.buffer.read(4 * MAX_PROMPT_CHARS + 5)  # four bytes a character, and one too many
    return replace(flags, prompt=data.decode("utf-8", "replace").removesuffix("\n"))


def read_recipe(path: Path, settings: Settings | None = None) -> Recipe:
    """Return the recipe in a TOML or JSON file, or the one a picture was drawn from.

    Pictures that a file names by a relative path lie beside it. JSON may also be what `sfumato show --json`
    prints; for `settings` see `read_picture`. Raises RecipeError
    and PictureError.
    """
    suffix = path.suffix.lower()
    if suffix in FORMAT_OF or (suffix not in (".json", ".toml") and _is_picture(path)):
        return read_picture(path, settings)[0]
    if suffix != ".json":
        return beside(from_toml(_bytes(path), Recipe), path.parent)
    text = _bytes(path)
    if _is_resolved(text):
        return recipe_of(single(from_json(text, Resolved)))
    return beside(from_json(text, Recipe), path.parent)


def trust_of(file: Path | None, asked: Flags) -> Trust:
    """Return what the recipe in `file` may open when `asked` is laid over it: one that a person wrote, or
    that has no file, anything; one out of a picture only what flags name anew.
    """
    if file is None or file.suffix.lower() in (".toml", ".json") or not _is_picture(file):
        return TRUSTED
    return Trust(
        model_paths=asked.model is not None,
        paths=bool(asked.control_model),
        adapter_paths=bool(asked.lora),
        words=bool(asked.prompt or asked.negative or asked.mix or asked.region),
        vae_paths=asked.vae is not None,
        beside=asked.model is not None,
        refiner_paths=asked.refiner is not None,
    )


def read_picture(picture: Path, settings: Settings | None = None) -> tuple[Recipe, Resolved | None]:
    """Return the recipe that draws a picture again, and the resolved one it carries.

    Of another program's picture its A1111 parameters are read; then there is no resolved recipe, a
    warning says so, and with `settings` a model that is not among theirs gives way to the bundled one, which
    reads its text encoder's last layer whatever "Clip skip" says. Raises PictureError, and RecipeError naming
    the picture.
    """
    try:
        resolved = read_resolved(picture)
    except PictureError:
        foreign = read_parameters(picture)
        if not foreign:
            raise
        with naming(picture):
            recipe = parse_parameters(foreign)
        warn(
            f"{picture} was drawn by another program: what its parameters do not say is left to the "
            "model, and the new picture will look different"
        )
        if settings is not None:
            recipe = of_model.with_known_vae(_with_known_model(recipe, settings), settings)
            recipe = refining.with_known_refiner(recipe, settings)
        return recipe, None
    return recipe_of(single(resolved)), resolved


def _with_known_model(recipe: Recipe, settings: Settings) -> Recipe:
    if is_known(recipe.model, settings):
        return recipe
    warn(f"there is no model {shown(recipe.model)} here: --model chooses another than {BUNDLED}")
    # An autoencoder, a schedule and a refiner belong to weights as well.
    parts = tuple(part for part in recipe.parts if part.kind not in ("vae", "schedule", "refine"))
    recipe = recipe.model_copy(update={"parts": parts})
    if recipe.image_guidance is not None:
        warn(f"Image CFG scale {recipe.image_guidance:g} is left out, as it was meant for that model")
    changes = {"model": BUNDLED, "image_guidance": None}
    return _without_clip_skip(recipe).model_copy(update=changes)


def _without_clip_skip(recipe: Recipe) -> Recipe:
    """Return `recipe` with the text encoder's last layer: which one is best belongs to the weights."""
    if recipe.extras is None or recipe.extras.clip_skip in (None, 1):
        return recipe
    skip = recipe.extras.clip_skip
    warn(f"Clip skip {skip} is left out, as it was meant for that model: --clip-skip {skip} asks for it")
    extras = recipe.extras.model_copy(update={"clip_skip": None})
    parts = (extras if isinstance(part, ExtrasPart) else part for part in recipe.parts)
    kept = tuple(part for part in parts if part != ExtrasPart())
    return recipe.model_copy(update={"parts": kept})


def read_resolved(picture: Path) -> Resolved:
    """Return the resolved recipe that a picture carries. Raises PictureError, and RecipeError naming the
    picture.
    """
    text = read_metadata(picture).resolved_json
    with naming(picture):
        return from_json(text, Resolved)


@contextmanager
def naming(picture: Path) -> Generator[None]:
    """Put the picture's name before whatever is wrong with its recipe."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(
            error.message, field=f"{picture.name}: {error.field}", value=error.value, hint=error.hint
        ) from None


def _is_picture(path: Path) -> bool:
    try:
        suffix_of(path)
    except PictureError:
        return False
    return True


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RECIPE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise InputError(f"cannot be read: {reason}", field="recipe", value=str(path)) from error
    if len(data) > MAX_RECIPE_BYTES:
        raise RecipeError("is far too large for a recipe", field="recipe", value=str(path))
    return data


def _is_resolved(text: bytes) -> bool:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):  # the reader of recipes says it better
        return False
    return isinstance(data, dict) and "model_digest" in data


def _parts(base: tuple[dict[str, Any], ...], flags: Flags) -> list[dict[str, Any]]:
    parts = {str(part["kind"]): part for part in base}
    if flags.unconditional:
        of_prompts = {
            "PROMPT": flags.prompt,
            "--negative": flags.negative,
            "--mix": flags.mix or None,
            "--mix-mode": flags.mix_mode,
            "--region": flags.region or None,
            "--guidance": flags.guidance,
            "--guidance-rescale": flags.guidance_rescale,
            "--guidance-start": flags.guidance_start,
            "--guidance-stop": flags.guidance_stop,
        }
        given = [name for name, value in of_prompts.items() if value is not None]
        if given:
            raise RecipeError(
                "means without any prompt",
                field="unconditional",
                hint=f"Leave it out, or leave out {' and '.join(given)}.",
            )
        kept = {kind: part for kind, part in parts.items() if kind in _OF_PICTURES}
        return list(with_edits(kept, flags).values())
    text = parts.get("text", {"kind": "text"})
    changes: dict[str, Any] = {
        "prompt": flags.prompt,
        "negative": flags.negative,
        "guidance_rescale": optional_real("guidance-rescale", flags.guidance_rescale),
        "guidance_start": optional_real("guidance-start", flags.guidance_start),
        "guidance_stop": optional_real("guidance-stop", flags.guidance_stop),
    }
    asked = {field: value for field, value in changes.items() if value is not None}
    if asked and "prompt" not in {**text, **asked}:
        field = next(iter(asked))
        raise RecipeError(
            "needs a prompt", field=field.replace("_", "-"), value=asked[field], hint="Give a prompt as well."
        )
    if asked:
        parts = {"text": {**text, **asked}, **{kind: part for kind, part in parts.items() if kind != "text"}}
    if flags.mix:
        mode = parts.get("mix", {}).get("mode")
        parts["mix"] = {"kind": "mix", "prompts": [_mixed(entry) for entry in flags.mix], "mode": mode}
    if flags.mix_mode is not None:
        if "mix" not in parts:
            raise RecipeError("there is nothing to mix", field="mix-mode", hint='Add --mix "a rabbit:0.5".')
        parts["mix"] = {**parts["mix"], "mode": flags.mix_mode}
    return list(with_edits(parts, flags).values())


def _mixed(entry: str) -> dict[str, Any]:
    prompt, colon, ratio = entry.rpartition(":")
    try:
        return {"prompt": prompt, "ratio": float(ratio if colon else "no ratio")}
    except ValueError:
        raise RecipeError(
            "ends in no ratio", field="mix", value=entry, hint='Write it as "a rabbit:0.5".'
        ) from None


def _size(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise RecipeError(
            "must be width x height", field="size", value=text, hint="Write 128x128, or 128 for a square."
        )
    width, height = match[1], match[1] if match[2] is None else match[2]
    return int(width), int(height)
