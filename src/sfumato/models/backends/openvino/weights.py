"""The tensors of a safetensors file as constants of a graph, mapped from the file and not copied.

A graph built this way shares the model's own file: nothing is stored twice, and what runs is what the digest
of the model says.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.adapters.changes import UNCHANGED, NetworkChanges
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.names import current_name
from sfumato.models.network_files import NetworkFiles, damaged
from sfumato.models.stored import Change, Stored, changed, changed_shape
from sfumato.models.tensor_file import EIGHT_BIT_KINDS, KINDS, TensorFile, as_float32, of_eight_bits

Node = Any  # openvino's own types are generated and incomplete
# Smaller matrices gain nothing from eight bits, and lose digits where it matters most: first and last layers.
_LEAST_INT8 = 64 * 1024


@dataclass(frozen=True)
class _Place:
    file: TensorFile
    key: str
    change: Change

    @property
    def dtype(self) -> str:
        return self.file.tensors[self.key].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return changed_shape(self.file.tensors[self.key].shape, self.change)


class Weights:
    """The tensors of one network: those of the safetensors file `path` or, with `stored`, those it names.

    With `int8`, large matrices become whole numbers of 8 bits with one scale for every output, `w ~ scale *
    round(w / scale)`, `scale = max|w| / 127`. Kernels of convolutions do not: openvino would widen them to
    float32 before it starts, and need twice the memory of bfloat16 where half is the aim.
    `adapted` are laid over them as they are read.
    Names are those of today's diffusers and transformers, whatever the file's age. Every tensor that is
    taken is remembered, so that `check_all_taken` can tell a file that holds more than the network uses.
    Keep the object as long as a graph made with it: the file stays mapped as long.
    """

    def __init__(
        self,
        path: Path,
        *,
        int8: bool = False,
        stored: Mapping[str, Stored] | None = None,
        adapted: NetworkChanges = UNCHANGED,
    ) -> None:
        self.path = path
        self.int8 = int8
        self._adapted = adapted
        if stored is None:
            stored = {key: Stored(path, key) for key in TensorFile(path).tensors}
        files = {one: TensorFile(one) for one in {one.path for one in stored.values()}}
        self._entries = {
            current_name(name): _Place(files[one.path], one.key, one.change)
            for name, one in stored.items()
            if not name.endswith("position_ids")  # a counter that old files stored
        }
        self._taken: set[str] = set()
        self._used: list[NDArray[Any]] = []

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of the tensor `key`; raises ModelFileError when there is none."""
        return self._entry(key).shape

    def vector(self, key: str, shape: Sequence[int] = (-1,)) -> Node:
        """Return the tensor `key` as a float32 constant of `shape`: biases, norms, positions."""
        return self._floating(key, shape)

    def table(self, key: str) -> Node:
        """Return the tensor `key` as it is stored: rows to gather from, converted only then."""
        return self._constant(key, (-1, *self.shape(key)[1:]))  # adapters may have added rows

    def matrix(self, key: str) -> Node:
        """Return the weight `key` of a linear layer, `(outputs, inputs)`.

        The oldest files keep the attention of a VAE as 1x1 convolutions; they are matrices all the same.
        """
        shape = self.shape(key)[:2]
        if not self.int8 or np.prod(shape) < _LEAST_INT8:
            return self._floating(key, shape)
        whole, scale = quantised(self.array(key).reshape(shape))
        return op.multiply(op.convert(op.constant(whole), "f32"), op.constant(scale))

    def kernel(self, key: str) -> Node:
        """Return the kernel `key` of a convolution, `(outputs, inputs, height, width)`."""
        return self._floating(key, self.shape(key))

    def array(self, key: str) -> NDArray[np.float32]:
        """Return the tensor `key` as float32 numbers."""
        place = self._entry(key)
        numbers = as_float32(changed(place.file.bits(place.key), place.change), place.dtype)
        return self._adapted.applied(key, numbers) if key in self._adapted else numbers

    def check_all_taken(self, prefixes: Iterable[str] = ("",)) -> None:
        """Raise ModelFileError when a tensor whose name begins with one of `prefixes` was never taken."""
        extra = sorted(
            key for key in self._entries.keys() - self._taken if any(map(key.startswith, prefixes))
        )
        if extra:
            raise damaged(
                self.path, f"holds {extra[0]}, unknown to its config.json ({len(extra)} tensors unknown)"
            )

    def _entry(self, key: str) -> _Place:
        try:
            place = self._entries[key]
        except KeyError:
            raise damaged(self.path, f"lacks {key}") from None
        if place.dtype not in KINDS:
            raise damaged(self.path, f"holds {place.dtype} in {key} where fractions belong")
        self._taken.add(key)
        return place

    def _floating(self, key: str, shape: Sequence[int]) -> Node:
        constant = self._constant(key, shape)
        return constant if self._entry(key).dtype == "F32" else widened(constant)

    def _constant(self, key: str, shape: Sequence[int]) -> Node:
        place = self._entry(key)
        if key in self._adapted:
            numbers = narrowed(self.array(key), place.dtype).reshape(shape)
        else:
            numbers = changed(place.file.bits(place.key), place.change).reshape(shape)
            if place.dtype in EIGHT_BIT_KINDS:
                numbers = of_eight_bits(numbers, place.dtype)
        numbers = np.ascontiguousarray(numbers)
        self._used.append(numbers)  # openvino does not hold on to the array behind a tensor
        if place.dtype == "BF16":  # numpy has no bfloat16: its bits go to openvino as they are
            return op.constant(ov.Tensor(numbers, list(numbers.shape), ov.Type.bf16), shared_memory=True)
        return op.constant(numbers, shared_memory=True)


def weights_of(files: NetworkFiles, *, int8: bool = False, adapted: NetworkChanges = UNCHANGED) -> Weights:
    """Return the tensors of a network, wherever they lie."""
    return Weights(files.weights, int8=int8, stored=files.stored, adapted=adapted)


def narrowed(numbers: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return float32 numbers as weights of the kind `dtype` are held, one of `KINDS`: rounded to the nearest,
    those of eight bits to float16.
    """
    if dtype == "F32":
        return numbers
    if dtype != "BF16":
        return numbers.astype(np.float16)
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)  # halves to the even one


def widened(constant: Node) -> Node:
    """Return a constant of 16 bits as float32, marked as stored in fewer bits than it is computed in.

    Without the mark, openvino replaces such constants by float32 copies before it lays weights out for the
    processor, and keeps both: at the size of Stable Diffusion 1.5 in bfloat16, 5.3 GB instead of 2.0.
    """
    node = op.convert(constant, "f32")
    node.set_rt_info(_stored_narrow(), "decompression_0")
    return node


@functools.cache
def _stored_narrow() -> Any:
    """Return openvino's mark, read from a graph that carries it: there is no constructor for it in Python."""
    model = ov.Core().read_model(_MARKED, ov.Tensor(np.zeros(2, np.uint8)))
    (node,) = [node for node in model.get_ops() if node.get_type_name() == "Convert"]
    return node.get_rt_info()["decompression_0"]


_MARKED = b"""<?xml version="1.0"?>
<net name="marked" version="11">
<layers>
<layer id="0" name="c" type="Const" version="opset1">
<data element_type="f16" shape="1" offset="0" size="2"/>
<output><port id="0" precision="FP16"><dim>1</dim></port></output>
</layer>
<layer id="1" name="w" type="Convert" version="opset1">
<data destination_type="f32"/>
<rt_info><attribute name="decompression" version="0"/></rt_info>
<input><port id="0" precision="FP16"><dim>1</dim></port></input>
<output><port id="1" precision="FP32"><dim>1</dim></port></output>
</layer>
<layer id="2" name="r" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>1</dim></port></input>
</layer>
</layers>
<edges>
<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
</edges>
</net>
"""


def quantised(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return `weight (outputs, ...)` as whole numbers in [-127, 127] and their scales `(outputs, 1, ...)`."""
    largest = np.expand_dims(largest_of(weight, *range(1, weight.ndim)), tuple(range(1, weight.ndim)))
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    ratio = weight / scale
    return np.rint(ratio, out=ratio).astype(np.int8), scale


def largest_of(weight: NDArray[np.float32], *over: int) -> NDArray[np.float32]:
    """Return the largest absolute values over some axes, without a copy of all of them on the way."""
    return np.maximum(weight.max(axis=over), -weight.min(axis=over))
