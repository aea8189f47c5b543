"""Weights that were cut into several files: an index says which file holds which tensor."""

import json
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError
from sfumato.models.safetensors_header import read_header
from sfumato.models.stored import Stored

MAX_INDEX: Final = 16 * 2**20  # bytes; that of Stable Diffusion XL has 0.2 MB
MAX_SHARDS: Final = 1000


def index_names(stem: str) -> tuple[str, ...]:
    """Return what the index of the weights called `stem` may be called: plain, and in half precision."""
    return f"{stem}.safetensors.index.json", f"{stem}.safetensors.index.fp16.json"


def read_index(path: Path) -> dict[str, Stored]:
    """Return where every tensor lies that the index `path` names.

    The files are checked to be whole, to lie in the folder of the index, and to hold what it says and nothing
    else. Raises ModelFileError.
    """
    named = _weight_map(path)
    places: dict[str, Stored] = {}
    for name in sorted(set(named.values())):
        shard = path.parent / name
        held = set(read_header(shard).tensors)
        wanted = {key for key, file in named.items() if file == name}
        if held != wanted:
            other = min(held ^ wanted)
            what = f"holds {other}, which {path.name} says is not in it"
            raise _wrong(shard, what if other in held else f"lacks {other}, which {path.name} says is in it")
        places |= {key: Stored(shard, key) for key in sorted(wanted)}
    return {key: one for key, one in places.items() if not key.endswith("position_ids")}


def _weight_map(path: Path) -> dict[str, str]:
    """Return the name of the file of every tensor."""
    try:
        if path.stat().st_size > MAX_INDEX:
            raise _wrong(path, "is far too large for an index")
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        named = data["weight_map"]
        if not named or not all(isinstance(one, str) for one in (*named, *named.values())):
            raise TypeError
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _wrong(path, "is no index of weights") from error
    files = set(named.values())
    if len(files) > MAX_SHARDS:
        raise _wrong(path, f"names {len(files)} files")
    for name in files:
        # Its files lie beside it: an index from elsewhere must not lead to other places.
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise _wrong(path, f"names the file {name!r}, which is no safetensors file in its folder")
    return named


def _wrong(path: Path, what: str) -> ModelFileError:
    return ModelFileError(
        f"{path.parent.name}/{path.name} {what}",
        field="model",
        value=str(path),
        hint="Copy or download the model again.",
    )
