"""The ranges of what a UNet's layers multiply, in one small file beside the compiled graphs.

Quantising inputs needs them: a step of 8 bits is a 255th of a range. They are measured while the model draws
(see `sfumato.evaluation.calibration`), and belong to the weights they were measured with.
"""

import errno
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sfumato.errors import InputError, NumericalError
from sfumato.imaging.writing import write_file
from sfumato.models.backends.openvino.cache import CachePlace

INT8_FULL: Final = "int8-full"  # the precision that needs ranges
RANGES_FILE: Final = "ranges.safetensors"
FORMAT: Final = "1"

#: "LAYER.input" or "LAYER.output" to the least and the greatest value of every channel, `(2,C)` float32.
Ranges: TypeAlias = Mapping[str, NDArray[np.float32]]


def write_ranges(path: Path, ranges: Ranges, digest: str) -> None:
    """Write the ranges of the model whose digest this is to `path`.

    Raises NumericalError for ranges that are not finite, OutputError when they cannot be written.
    """
    from safetensors.numpy import save  # reading a stored graph does without

    for name, one in ranges.items():
        if not np.isfinite(one).all():
            raise NumericalError(f"{name} is not finite", field="precision", value=INT8_FULL)
    # safetensors takes no views.
    tensors = {name: np.ascontiguousarray(one) for name, one in ranges.items()}
    write_file(path, save(tensors, {"format": FORMAT, "model": digest}))


def read_ranges(path: Path, digest: str) -> dict[str, NDArray[np.float32]]:
    """Return the ranges that were written to `path` for the model whose digest this is.

    Raises InputError when there are none, they are another model's, or the file is damaged.
    """
    try:
        if not path.is_file():  # a pipe would make us wait for somebody to write
            raise FileNotFoundError(errno.ENOENT, "no file")
        with safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            ranges = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise unusable("needs the ranges of this model's numbers, which are not measured yet") from None
    except (OSError, SafetensorError) as error:
        raise unusable(f"cannot read the ranges in {path}") from error
    if facts.get("format") != FORMAT or facts.get("model") != digest:
        raise unusable(f"finds ranges of another model or version in {path}")
    for name, one in ranges.items():
        usable = one.dtype == np.float32 and one.ndim == 2 and len(one) == 2
        if not (usable and np.isfinite(one).all() and (one[0] <= one[1]).all()):
            raise unusable(f"finds a damaged range, {name}, in {path}")
    return ranges


def stored_ranges(place: CachePlace | None) -> Ranges:
    """Return the ranges beside the compiled graphs of a model; None is nowhere. Raises as `read_ranges`."""
    if place is None:
        raise unusable("needs ranges, and there is no place for them")
    return read_ranges(place.of_precision(INT8_FULL) / RANGES_FILE, place.digest)


def unusable(what: str) -> InputError:
    """Return the error for ranges that cannot be used; `what` follows the name of the precision."""
    return InputError(
        f"{INT8_FULL} {what}",
        field="precision",
        value=INT8_FULL,
        hint=f"Run: sfumato compile MODEL --precision {INT8_FULL}",
    )


def fingerprint(ranges: Ranges) -> str:
    """Return a digest (hex) of ranges: graphs made with others must not be used."""
    whole = hashlib.sha256()
    for name in sorted(ranges):
        whole.update(name.encode())
        whole.update(ranges[name].tobytes())
    return whole.hexdigest()[:16]
