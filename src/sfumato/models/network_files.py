"""The files of one network: its configuration and its weights, found, read and checked before anything heavy
is imported.

Missing files, broken JSON, truncated safetensors and pickles (refused, never opened) are raised as one
`ModelFileError`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import ModelFileError
from sfumato.models.safetensors_header import read_header
from sfumato.models.shards import index_names, read_index
from sfumato.models.stored import Stored

Config = Mapping[str, Any]

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
MAX_CONFIG_BYTES = 64 * 1024 * 1024  # vocabularies are a few MB; anything larger is not a configuration


@dataclass(frozen=True)
class NetworkFiles:
    """One network: its `config` as written, the safetensors file with its `weights`, and the `class_name`
    that model_index.json gives it, where it is in one.

    `stored` says where each of its tensors lies, by their names in diffusers; None: `weights` holds them
    all under these names, and nothing else. With it, `weights` is the file that holds the first, and
    `num_stored` the bytes of all. `derived`: the configuration follows from the weights, no file has it.
    """

    name: str
    config: Config
    weights: Path
    class_name: str = ""
    stored: Mapping[str, Stored] | None = None
    num_stored: int | None = None
    derived: bool = False

    @property
    def described(self) -> Path:
        """The file that says what the network is."""
        return self.weights if self.derived else self.weights.parent / "config.json"

    @property
    def is_absent(self) -> bool:
        """Whether this only describes what a model lacks."""
        return self.stored is not None and not self.stored

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that holds weights of it."""
        if self.stored is None:
            return (self.weights,)
        return tuple(dict.fromkeys(one.path for one in self.stored.values()))

    @property
    def num_bytes(self) -> int:
        """How much its weights take on disk."""
        return self.weights.stat().st_size if self.num_stored is None else self.num_stored


def read_json(folder: Path, name: str) -> Config:
    """Return the JSON object in `folder / name`; raises ModelFileError when there is none."""
    path = required(folder, name)
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise damaged(path, "is far too large for a configuration")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "is not readable JSON") from error
    if not isinstance(data, dict):
        raise damaged(path, "must hold a JSON object")
    return data


def damaged(path: Path, what: str) -> ModelFileError:
    """Return the error for a file of a model that cannot be used."""
    return ModelFileError(
        f"{path.parent.name}/{path.name} {what}",
        field="model",
        value=str(path),
        hint="Copy or download the model again.",
    )


def find_network(folder: Path, config: Config, stem: str, class_name: str = "") -> NetworkFiles:
    """Return the network in `folder`, whose weights are called `stem`: in one file or in several. Raises as
    `find_weights` does.
    """
    for name in index_names(stem):
        # Whole files go first, as diffusers has it: an index is left over where somebody joined the parts.
        if (folder / name).is_file() and not any((folder / one).is_file() for one in weight_names(stem)):
            stored = read_index(folder / name)
            first, size = (
                next(iter(stored.values())).path,
                sum(path.stat().st_size for path in {one.path for one in stored.values()}),
            )
            return NetworkFiles(folder.name, config, first, class_name, stored, size)
    return NetworkFiles(folder.name, config, find_weights(folder, stem), class_name)


def weight_names(stem: str) -> tuple[str, ...]:
    """Return what weights called `stem` may be called: plain, in half precision, and before the average."""
    return f"{stem}.safetensors", f"{stem}.fp16.safetensors", f"{stem}.non_ema.safetensors"


def find_weights(folder: Path, stem: str) -> Path:
    """Return the safetensors file called `stem` in `folder`, checked to be whole. Raises ModelFileError, also
    where there is a pickle instead.
    """
    for name in weight_names(stem):
        path = folder / name
        if path.is_file():
            read_header(path)
            return path
    pickles = [path for path in sorted(folder.glob("*")) if path.suffix in PICKLES]
    if pickles:
        raise ModelFileError(
            f"{folder.name}/{pickles[0].name} is a pickle, which can run any program when opened",
            field="model",
            value=str(pickles[0]),
            hint="Only safetensors weights are loaded; get or convert this model as safetensors.",
        )
    raise missing(folder / f"{stem}.safetensors")


def required(folder: Path, name: str) -> Path:
    """Return `folder / name`; raises ModelFileError where there is no such file."""
    path = folder / name
    if not path.is_file():
        raise missing(path)
    return path


def missing(path: Path) -> ModelFileError:
    """Return the error for a file that a folder lacks."""
    return ModelFileError(
        f"{path.parent.name}/{path.name} is missing",
        field="model",
        value=str(path),
        hint="Copy or download the model again; it must be a whole diffusers folder.",
    )
