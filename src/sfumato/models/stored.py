"""Where the tensors of a network lie, and what makes them the network's. Plain data; imports nothing heavy.

A diffusers folder has one file for each network, whose tensors are called and shaped as the network wants
them. Other layouts have one file for everything, or several for one network, other names, and sometimes
another shape. What a tensor needs to become the network's is then said by a `Stored`, and every reader goes
through `changed`: torch's, openvino's and the writer of `sfumato convert`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """The rows `first` to `stop` of a tensor, `stop` excluded: of three that were packed into one."""

    first: int
    stop: int


#: What makes a stored tensor the network's: "matrix" takes the two sides of length one off a 1x1 convolution,
#: "transposed" exchanges rows and columns. None: it is the network's already.
Change: TypeAlias = Literal["matrix", "transposed"] | Rows | None


@dataclass(frozen=True)
class Stored:
    """A tensor of a network: the safetensors file `path` holds it as `key`, and `change` makes it ours."""

    path: Path
    key: str
    change: Change = None


def changed(tensor: Any, change: Change) -> Any:
    """Return a stored tensor (of numpy or torch) as the network wants it, without a copy."""
    if change is None:
        return tensor
    if change == "matrix":
        return tensor.reshape(tensor.shape[:2])
    if change == "transposed":
        return tensor.T
    return tensor[change.first : change.stop]


def changed_shape(shape: Shape, change: Change) -> Shape:
    """Return the shape that `changed` gives a tensor of `shape`."""
    if isinstance(change, Rows):
        return (change.stop - change.first, *shape[1:])
    if change == "matrix":
        return shape[:2]
    return shape[::-1] if change == "transposed" else shape
