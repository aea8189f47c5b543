"""The tensors of a network as they are written elsewhere: mapped from where they lie, one at a time, as they
are stored, as another kind of number, or with adapters baked in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np

from sfumato.errors import ModelFileError
from sfumato.models.adapters.changes import UNCHANGED, NetworkChanges
from sfumato.models.names import current_name
from sfumato.models.network_files import NetworkFiles, damaged
from sfumato.models.original.names import VAE_MATRICES
from sfumato.models.stored import Stored, changed, changed_shape
from sfumato.models.tensor_file import EIGHT_BIT_KINDS, KINDS, TensorFile, as_float32
from sfumato.models.tensor_writer import from_float32

#: What `sfumato convert --dtype` may be.
DTYPES: Final[Mapping[str, str]] = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True)
class NetworkTensor:
    """The tensor `name` of a network, wherever it lies, with `changes` laid over it."""

    file: TensorFile
    stored: Stored
    name: str
    changes: NetworkChanges = UNCHANGED

    @property
    def dtype(self) -> str:
        """The kind of its numbers when nothing else is asked for: as they are stored. What was changed has no
        place in eight bits, and becomes F16.
        """
        eight = self._kind in EIGHT_BIT_KINDS
        return "F16" if eight and self.name in self.changes else self._kind

    @property
    def shape(self) -> tuple[int, ...]:
        return changed_shape(self.file.tensors[self.stored.key].shape, self.stored.change)

    def bits(self, dtype: str) -> Any:
        """Return its numbers as the kind `dtype`: what adapters change is computed in float32, and rounded
        once. Raises ModelFileError where they do not fit into it, and for changed ones that are not finite.
        """
        mine = changed(self.file.bits(self.stored.key), self.stored.change)
        if self.name not in self.changes and dtype == self._kind:
            return mine
        numbers = as_float32(mine, self._kind)
        if self.name in self.changes:
            with np.errstate(over="ignore", invalid="ignore"):
                numbers = self.changes.applied(self.name, numbers)
            if not np.isfinite(numbers).all():
                raise ModelFileError(
                    f"{self.stored.key} holds what is no number, or becomes that with the adapters",
                    field="lora",
                    value=self.file.path.name,
                    hint="sfumato models info --check MODEL looks for such numbers; or lower the weights.",
                )
        bits = from_float32(numbers, dtype)
        if dtype == "F16" and (np.isinf(bits) & np.isfinite(numbers)).any():
            raise ModelFileError(
                f"{self.stored.key} holds numbers beyond what float16 can hold",
                field="dtype",
                value="float16",
                hint="Use bfloat16 or float32.",
            )
        return bits

    @property
    def _kind(self) -> str:
        return self.file.tensors[self.stored.key].dtype


Tensors: TypeAlias = Mapping[str, NetworkTensor]


def tensors_of(network: NetworkFiles, changes: NetworkChanges = UNCHANGED) -> Tensors:
    """Return every tensor of a network by its name in today's diffusers and transformers, with `changes` laid
    over them. Raises ModelFileError for a file that cannot be read.
    """
    stored = network.stored
    if stored is None:
        file = TensorFile(network.weights)
        stored = {key: Stored(network.weights, key) for key in file.tensors}
        files = {network.weights: file}
    else:
        files = {path: TensorFile(path) for path in network.paths}
    found: dict[str, NetworkTensor] = {}
    for key, one in stored.items():
        if key.endswith("position_ids"):  # a counter that old files stored
            continue
        name = current_name(key)
        tensor = NetworkTensor(files[one.path], one, name, changes)
        if tensor.dtype not in KINDS:
            raise damaged(one.path, f"holds {tensor.dtype} in {one.key} where fractions belong")
        if network.name == "vae" and name.endswith(tuple(VAE_MATRICES)) and len(tensor.shape) == 4:
            tensor = replace(tensor, stored=replace(one, change="matrix"))
        found[name] = tensor
    return found


def shapes_in(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Return the shape of each."""
    return {name: one.shape for name, one in tensors.items()}
