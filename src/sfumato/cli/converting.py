"""What `sfumato convert` does."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sfumato.cli.console import result, result_json, talk, warn
from sfumato.errors import InputError, closest
from sfumato.models.autoencoders import find_vae
from sfumato.models.baking import bake
from sfumato.models.converting import Converted, files_to_convert, to_folder, to_single, vae_to
from sfumato.models.folders import find_folder
from sfumato.models.network_tensors import DTYPES
from sfumato.recipe.adapters import read_mark
from sfumato.settings import Settings

SINGLE: Final = ".safetensors"
PARTS: Final = ("vae",)


def convert_model(
    model: str,
    output: Path,
    *,
    dtype: str | None,
    vae: Path | None,
    loras: Sequence[str] = (),
    only: str | None,
    as_json: bool,
) -> None:
    """Convert `model` to `output` and say what was written. Raises InputError."""
    if dtype is not None and dtype not in DTYPES:
        raise _unknown("dtype", dtype, tuple(DTYPES))
    if only is not None and only not in PARTS:
        raise _unknown("only", only, PARTS)
    done = _converted(model, output, dtype, vae, loras, only)
    if as_json:
        beside = None if done.sidecar is None else str(done.sidecar)
        result_json(
            {
                "path": str(done.path),
                "tensors": done.tensors,
                "num_bytes": done.num_bytes,
                "sidecar": beside,
            }
        )
        return
    talk(f"{done.tensors} tensors, {done.num_bytes / 1e6:.0f} MB")
    if done.sidecar is not None:
        talk(f"what the file cannot say is beside it, in {done.sidecar}")
    result(str(done.path))


def _converted(
    model: str, output: Path, dtype: str | None, vae: Path | None, loras: Sequence[str], only: str | None
) -> Converted:
    settings = Settings.from_environment(os.environ)
    if only is not None:
        for field, given in (("vae", vae is not None), ("lora", bool(loras))):
            if given:
                raise InputError("is not possible with --only", field=field, hint="Leave one of them out.")
        place = Path(model)
        found = place if place.exists() else find_folder(model, settings)
        return vae_to(find_vae(found), output, dtype)
    files = files_to_convert(find_folder(model, settings), vae)
    baked = bake([read_mark(one, "lora") for one in loras], files, settings)
    for one in baked.warnings:
        warn(one)
    write = to_single if output.suffix.lower() == SINGLE else to_folder
    return write(files, output, dtype, baked)


def _unknown(field: str, value: str, names: tuple[str, ...]) -> InputError:
    near = closest(value, names)
    hint = f"Choose {' or '.join(names)}." if near is None else f'Did you mean "{near}"?'
    return InputError("is not known", field=field, value=value, hint=hint)
