"""What `sfumato convert` does."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from sfumato.cli.console import result, result_json, talk
from sfumato.errors import InputError, closest
from sfumato.models.autoencoders import find_vae
from sfumato.models.converting import DTYPES, Converted, to_folder, to_single, vae_to, with_vae
from sfumato.models.files import ModelFiles, locate, of_single
from sfumato.models.folders import find_folder
from sfumato.models.original.single import read_single, vae_config
from sfumato.settings import Settings

SINGLE: Final = ".safetensors"
PARTS: Final = ("vae",)


def convert_model(
    model: str, output: Path, *, dtype: str | None, vae: Path | None, only: str | None, as_json: bool
) -> None:
    """Convert `model` to `output` and say what was written. Raises InputError."""
    if dtype is not None and dtype not in DTYPES:
        raise _unknown("dtype", dtype, tuple(DTYPES))
    if only is not None and only not in PARTS:
        raise _unknown("only", only, PARTS)
    done = _converted(model, output, dtype, vae, only)
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


def _converted(model: str, output: Path, dtype: str | None, vae: Path | None, only: str | None) -> Converted:
    if only is not None:
        if vae is not None:
            raise InputError("is not possible with --only", field="vae", hint="Leave one of them out.")
        place = Path(model)
        found = place if place.exists() else find_folder(model, Settings.from_environment(os.environ))
        return vae_to(find_vae(found), output, dtype)
    files = _files(find_folder(model, Settings.from_environment(os.environ)), vae)
    return (
        to_single(files, output, dtype)
        if output.suffix.lower() == SINGLE
        else to_folder(files, output, dtype)
    )


def _files(place: Path, vae: Path | None) -> ModelFiles:
    if vae is None:
        return locate(place)
    other = find_vae(vae)
    if place.is_file():
        single = read_single(place)
        if single.vae is None:  # then the one that is brought along fills the gap
            return of_single(single, replace(other, config=vae_config(single, other.config)))
    return with_vae(locate(place), other)


def _unknown(field: str, value: str, names: tuple[str, ...]) -> InputError:
    near = closest(value, names)
    hint = f"Choose {' or '.join(names)}." if near is None else f'Did you mean "{near}"?'
    return InputError("is not known", field=field, value=value, hint=hint)
