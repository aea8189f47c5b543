"""Merge checkpoints: two files of the original layout become one, tensor by tensor.

Everything is computed in float32 and one tensor at a time: a merge takes the memory of the largest tensor a
few times over, however large the models are.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import ModelFileError, OutputError
from sfumato.models.safetensors_header import Header, read_header
from sfumato.models.tensor_file import EIGHT_BIT_KINDS, KINDS, TensorFile, as_float32
from sfumato.models.tensor_writer import ToWrite, from_float32, write_tensors
from sfumato.recipe.codec import to_json
from sfumato.recipe.merge import MergedModel, MergeRecipe

Numbers: TypeAlias = NDArray[Any]  # float32

UNET: Final = "model.diffusion_model."
ENTRY: Final = f"{UNET}input_blocks.0.0.weight"
NOTE: Final = "sfumato.merge"  # in the metadata of the result: the recipe, as JSON
_BLOCK: Final = re.compile(re.escape(UNET) + r"(input_blocks|output_blocks)\.(\d{1,2})\.")
_SIDES: Final = {"input_blocks": "IN", "output_blocks": "OUT"}
_DTYPES: Final = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_PARALLEL: Final = 0.9995  # cosine above which the angle is too small to divide by its sine
_AVERAGES: Final = "model_ema."  # a second copy of the weights, which a merge would make a lie

_METADATA_KEPT: Final = ("modelspec.architecture", "modelspec.prediction_type", "modelspec.resolution")


@dataclass(frozen=True)
class Merged:
    """What a merge came to: how many tensors were `merged`, how many are a's alone because no merge of them
    makes sense or the others lack them (`kept`), and how many were `left_out`: of b's alone, and averages.
    `recipe` names the files by their sha256.
    """

    path: Path
    recipe: MergeRecipe
    merged: int
    kept: int
    left_out: int
    num_bytes: int


def part_of(name: str) -> str | None:
    """Return the part of a checkpoint, one of `recipe.merge.PARTS`, that the tensor `name` belongs to; None
    for one of no network.
    """
    if found := _BLOCK.match(name):
        return f"{_SIDES[found[1]]}{int(found[2]):02}"
    if name.startswith(f"{UNET}middle_block."):
        return "M00"
    if name.startswith(UNET):
        return "BASE"
    if name.startswith("first_stage_model."):
        return "VAE"
    if name.startswith(("cond_stage_model.", "conditioner.")):
        return "TEXT"
    return None


def mixed(recipe: MergeRecipe, weight: float, a: Numbers, b: Numbers, c: Numbers | None) -> Numbers:
    """Return the merge of tensors of one shape: see `MergeRecipe`."""
    if c is not None:
        return a + weight * (b - c)
    if recipe.method == "slerp":
        return _turned(weight, a, b)
    return _between(weight, a, b)


def _between(weight: float, a: Numbers, b: Numbers) -> Numbers:
    return (1 - weight) * a + weight * b


def _turned(weight: float, a: Numbers, b: Numbers) -> Numbers:
    """Spherical interpolation of directions, linear interpolation of lengths."""
    long_a, long_b = (float(np.linalg.norm(one.astype(np.float64))) for one in (a, b))
    if long_a == 0 or long_b == 0:
        return _between(weight, a, b)
    cosine = float(np.vdot(a.astype(np.float64), b)) / (long_a * long_b)
    if abs(cosine) > _PARALLEL:  # opposite ones have no way that is shorter than the others
        return _between(weight, a, b)
    angle = math.acos(cosine)
    of_a, of_b = math.sin((1 - weight) * angle) / math.sin(angle), math.sin(weight * angle) / math.sin(angle)
    length = (1 - weight) * long_a + weight * long_b
    return of_a * length / long_a * a + of_b * length / long_b * b


def merge(recipe: MergeRecipe, places: Mapping[str, Path], output: Path) -> Merged:
    """Merge the files `places` (by "a", "b" and, for "difference", "c") into `output`.

    The result carries the recipe, with the sha256 of every file, in its metadata. Where a's UNet takes more
    channels than the others, as inpainting models do, the channels they lack stay a's.

    Raises ModelFileError for a file that is damaged, is no checkpoint of the original layout, is not the one
    the recipe names by its sha256, or does not fit the others, and for a number that is not finite;
    OutputError for an `output` that is one of them or cannot be written.
    """
    if any(output.exists() and output.samefile(place) for place in places.values()):
        hint = "Write to another file: what is merged is read while the result is written."
        raise OutputError("this is one of the models to merge", field="output", value=str(output), hint=hint)
    headers = {key: read_header(place, field=key) for key, place in places.items()}
    for key, header in headers.items():
        _check_layout(key, places[key], header)
    pairs = {"a": recipe.a, "b": recipe.b} | ({} if recipe.c is None else {"c": recipe.c})
    pinned = {key: _pinned(key, model, places[key]) for key, model in pairs.items()}
    done = recipe.model_copy(update=pinned)
    files = {key: TensorFile(place) for key, place in places.items()}
    names = [
        name
        for name, tensor in headers["a"].tensors.items()
        # What is no fraction is a counter, which whoever loads the file has anyway.
        if not name.startswith(_AVERAGES) and tensor.dtype in KINDS
    ]
    together = {name for name in names if _is_merged(name, places, headers)}
    tensors = [_to_write(name, done, files, name in together) for name in names]
    notes = {key: value for key, value in headers["a"].metadata.items() if key in _METADATA_KEPT}
    write_tensors(output, tensors, {"format": "pt", **notes, NOTE: to_json(done)})
    every = set().union(*(header.tensors for header in headers.values()))
    return Merged(
        path=output,
        recipe=done,
        merged=len(together),
        kept=len(names) - len(together),
        left_out=len(every) - len(names),
        num_bytes=output.stat().st_size,
    )


def _check_layout(key: str, path: Path, header: Header) -> None:
    if ENTRY not in header.tensors:
        raise ModelFileError(
            f"{path.name} is no checkpoint of the original layout: it has no {ENTRY}",
            field=key,
            value=str(path),
            hint="A diffusers folder becomes one with: sfumato convert FOLDER FILE.safetensors",
        )


def _pinned(key: str, model: MergedModel, path: Path) -> MergedModel:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if model.sha256 not in (None, found):
        raise ModelFileError(
            f"{path.name} is not the file that the recipe names: its sha256 is {found}",
            field=key,
            value=str(path),
            hint=f"The recipe wants {model.sha256}; remove that line to merge whatever is there.",
        )
    # A path is nobody else's business; the digest says which file it was.
    return MergedModel(name=path.name, sha256=found)


def _is_merged(name: str, places: Mapping[str, Path], headers: Mapping[str, Header]) -> bool:
    """Tell whether tensors called `name` are merged. Raises ModelFileError where they cannot, and should."""
    first = headers["a"].tensors[name]
    if part_of(name) is None:
        return False  # tables of the schedule, marks of the prediction type
    for key in places.keys() - {"a"}:
        other = headers[key].tensors.get(name)
        if other is None and not name.startswith(UNET):
            return False  # files without an autoencoder or text encoder are common
        if other is None or not _fits(name, first.shape, other.shape) or other.dtype not in KINDS:
            has = "lacks" if other is None else f"has {_size(other.shape)} of {other.dtype} as"
            raise ModelFileError(
                f"{places[key].name} {has} {name}, which is {_size(first.shape)} in {places['a'].name}",
                field=key,
                value=str(places[key]),
                hint="Merge models of one family; see: sfumato models info FILE.",
            )
    return True


def _fits(name: str, first: tuple[int, ...], other: tuple[int, ...]) -> bool:
    fewer = name == ENTRY and len(first) == len(other) == 4 and other[1] < first[1]
    return first == other or (fewer and (first[0], *first[2:]) == (other[0], *other[2:]))


def _to_write(name: str, recipe: MergeRecipe, files: Mapping[str, TensorFile], together: bool) -> ToWrite:
    own = files["a"].tensors[name]
    if not together:
        return ToWrite(name, own.dtype, own.shape, partial(files["a"].bits, name))
    dtype = _DTYPES[recipe.dtype] if recipe.dtype is not None else own.dtype
    # Rounding to eight bits is a choice of its own, for those who load them.
    dtype = "F16" if dtype in EIGHT_BIT_KINDS else dtype
    return ToWrite(name, dtype, own.shape, partial(_merged_bits, name, dtype, recipe, files))


def _merged_bits(name: str, dtype: str, recipe: MergeRecipe, files: Mapping[str, TensorFile]) -> NDArray[Any]:
    numbers = {key: as_float32(file.bits(name), file.tensors[name].dtype) for key, file in files.items()}
    for key, one in numbers.items():
        if not np.isfinite(one).all():
            where = files[key].path
            raise ModelFileError(
                f"{where.name} holds numbers in {name} that are not finite",
                field=key,
                value=str(where),
                hint="The file is damaged, or a merge of its own went wrong.",
            )
    part = part_of(name)
    assert part is not None  # see _is_merged
    a, b, c = numbers["a"], numbers["b"], numbers.get("c")
    shared = (slice(None), slice(0, b.shape[1])) if b.shape != a.shape else (...,)
    made = a.copy()
    made[shared] = mixed(recipe, recipe.weight_of(part), a[shared], b, c)
    bits = from_float32(made, dtype)
    if dtype == "F16" and not np.isfinite(bits).all():
        raise ModelFileError(
            f"{name} becomes too large for float16",
            field="dtype",
            value="float16",
            hint="Store the result in bfloat16 or float32.",
        )
    return bits


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
