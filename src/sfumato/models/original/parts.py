"""What is read from an original file: the networks in it, each with its configuration and its tensors."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sfumato.errors import ModelFileError
from sfumato.models.safetensors_header import Header
from sfumato.models.stored import Stored

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]
Config: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A network in a file: what diffusers calls it and its class, its configuration, and where its tensors
    lie, by their names in diffusers: `num_bytes` in all.
    """

    name: str
    class_name: str
    config: Config
    stored: Mapping[str, Stored]
    num_bytes: int


@dataclass(frozen=True)
class Source:
    """The tensors of a file that begin with `prefix`: their `shapes`, named without it; `header` is that of
    the file.
    """

    path: Path
    prefix: str
    shapes: Shapes
    header: Header

    def stored(self, key: str) -> Stored:
        """Return the tensor that is called `key` behind the prefix."""
        return Stored(self.path, self.prefix + key)

    def shape(self, key: str, size: int) -> Shape:
        """Return the shape of `key`; raises ModelFileError where it is missing, or has not `size` sides."""
        found = self.shapes.get(key)
        if found is None:
            raise refused(self.path, f"it has no {self.prefix}{key}")
        if len(found) != size or min(found, default=0) < 1:
            raise refused(self.path, f"its {self.prefix}{key} is {sides(found)}")
        return found


def num_bytes(header: Header, stored: Mapping[str, Stored]) -> int:
    """Return how many bytes the tensors `stored` have, all of them in the file of `header`."""
    tensors = [header.tensors[key] for key in {one.key for one in stored.values()}]
    return sum(tensor.end - tensor.start for tensor in tensors)


def numbered(names: Container[str], name: str, most: int) -> int:
    """Return how many of `names` are called `name`, which has {} in the place of a number, from 0 on without
    a gap: `most` at the most.
    """
    return next((at for at in range(most) if name.format(at) not in names), most)


def side(shapes: Shapes, name: str, at: int) -> int | None:
    """Return the length of side `at` of the tensor `name`; None where there is none."""
    shape = shapes.get(name, ())
    return shape[at] if len(shape) > at else None


def sides(shape: Shape) -> str:
    """Return a shape for people."""
    return "x".join(map(str, shape)) or "a single number"


def refused(path: Path, why: str, hint: str | None = None) -> ModelFileError:
    """Return the error for a file that is not what it should be; `why` begins with "it" or "its"."""
    return ModelFileError(
        f"this is no model that is known: {why}",
        field="model",
        value=str(path),
        hint=hint or "Only Stable Diffusion 1, 2 and XL, and networks cut out of them, are drawn with.",
    )
