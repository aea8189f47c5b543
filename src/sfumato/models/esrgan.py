"""ESRGAN files: what other people's upscaling networks are called inside, read from the header alone.

Wang et al. 2018 (arXiv 1809.00219, Section 3.1): blocks of densely connected convolutions without norms, then
enlarging by nearest neighbours with a convolution behind each doubling. Such files come in three dialects:
that of the first release, that of the releases after it, and that of Real-ESRGAN (Wang et al. 2021, arXiv
2107.10833), whose networks for factors 1 and 2 begin by folding pixels into channels.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError
from sfumato.models.network_files import PICKLES
from sfumato.models.safetensors_header import read_header

DENSE: Final = 5  # convolutions in a dense block
DENSE_BLOCKS: Final = 3  # of which so many make a residual block
MAX_BYTES: Final = 1 << 30  # the published ones have 67 MB in float32
MAX_WIDTH: Final = 512
MAX_BLOCKS: Final = 64
MAX_DOUBLINGS: Final = 3
WRAPPED: Final = ("params_ema.", "params.", "state_dict.")
FRACTIONS: Final = ("F32", "F16", "BF16")

_FIRST_RELEASE: Final = re.compile(r"model\.(\d+)\.weight")
_DIALECTS: Final = (  # first, a dense convolution, what merges the blocks, a doubling, the last two
    ("conv_first", "body.{b}.rdb{d}.conv{c}", "conv_body", "conv_up{u}", "conv_hr", "conv_last"),
    ("conv_first", "RRDB_trunk.{b}.RDB{d}.conv{c}", "trunk_conv", "upconv{u}", "HRconv", "conv_last"),
)


@dataclass(frozen=True)
class EsrganShape:
    """A network of `width` channels in `blocks` residual blocks, whose dense convolutions add `growth`
    channels each; pixels are folded `fold` by `fold` into channels first, and `doublings` follow.
    """

    width: int
    growth: int
    blocks: int
    doublings: int
    fold: int

    @property
    def factor(self) -> int:
        """How many times as long the network makes each side."""
        return 2**self.doublings // self.fold

    @property
    def reach(self) -> int:
        """How many folded pixels away a pixel can still have a say: one for each 3x3 convolution on the way,
        and less than two for all that come after a doubling.
        """
        return DENSE * DENSE_BLOCKS * self.blocks + 4


@dataclass(frozen=True)
class EsrganFile:
    """A checked file: its shape, and what its layers are called. `dense[b][d][c]` is a convolution."""

    path: Path
    shape: EsrganShape
    first: str
    dense: tuple[tuple[tuple[str, ...], ...], ...]
    merge: str
    doubling: tuple[str, ...]
    large: str
    last: str


def read_esrgan(path: Path) -> EsrganFile:
    """Read the header of the ESRGAN file `path`, a safetensors file, and check that all it says fits.

    Raises ModelFileError for a pickle, another architecture, and a file that is missing, damaged or too
    large.
    """
    shapes = _shapes(path)
    prefix = next((one for one in WRAPPED if all(key.startswith(one) for key in shapes)), "")
    layers = _layers(path, {key.removeprefix(prefix): shape for key, shape in shapes.items()})
    first, dense, merge, doubling, large, last = layers
    whole = _weights(shapes, prefix)
    width, channels = whole[first][:2]
    growth = whole[dense[0][0][0]][0]
    fold = math.isqrt(channels // 3)
    shape = EsrganShape(width, growth, len(dense), len(doubling), fold)
    if channels not in (3, 12, 48) or whole[last][0] != 3 or 2**shape.doublings < fold:
        raise _refused(path, f"turns {channels} channels into {whole[last][0]}, not colours into colours")
    usable = 1 <= width <= MAX_WIDTH and 1 <= growth <= MAX_WIDTH and shape.blocks <= MAX_BLOCKS
    if not usable:
        raise _refused(
            path, f"has {width} and {growth} channels in {shape.blocks} blocks, which is out of range"
        )
    wanted = {first: (width, channels), merge: (width, width), large: (width, width), last: (3, width)}
    wanted |= dict.fromkeys(doubling, (width, width))
    for block in dense:
        for convolutions in block:
            for number, name in enumerate(convolutions):
                out = width if number == DENSE - 1 else growth
                wanted[name] = (out, width + number * growth)
    expected: dict[str, tuple[int, ...]] = {}
    for name, (out, into) in wanted.items():
        expected |= {f"{prefix}{name}.weight": (out, into, 3, 3), f"{prefix}{name}.bias": (out,)}
    for key, size in expected.items():
        if shapes.get(key) != size:
            raise _refused(path, f"holds {key} of shape {shapes.get(key)}, not {size}")
    extra = sorted(shapes.keys() - expected.keys())
    if extra:
        raise _refused(path, f"holds {extra[0]}, which such a network does not have")

    def named(name: str) -> str:
        return prefix + name

    return EsrganFile(
        path,
        shape,
        named(first),
        tuple(tuple(tuple(map(named, one)) for one in block) for block in dense),
        named(merge),
        tuple(map(named, doubling)),
        named(large),
        named(last),
    )


_Layers = tuple[str, list[list[list[str]]], str, list[str], str, str]


def _layers(path: Path, shapes: Mapping[str, Any]) -> _Layers:
    """Return what the layers are called in the dialect of the file."""
    blocks, sections = range(MAX_BLOCKS + 1), range(1, DENSE_BLOCKS + 1)
    for first, dense, merge, up, large, last in _DIALECTS:
        if f"{dense.format(b=0, d=1, c=1)}.weight" not in shapes:
            continue
        count = sum(f"{dense.format(b=b, d=1, c=1)}.weight" in shapes for b in blocks)
        doubling = [
            up.format(u=u) for u in range(1, MAX_DOUBLINGS + 1) if f"{up.format(u=u)}.weight" in shapes
        ]
        names = [
            [[dense.format(b=b, d=d, c=c) for c in range(1, DENSE + 1)] for d in sections]
            for b in range(count)
        ]
        return _checked(path, shapes, (first, names, merge, doubling, large, last))
    if "model.1.sub.0.RDB1.conv1.0.weight" not in shapes:
        raise _refused(path, "is no network of the kind ESRGAN")
    numbers = sorted(int(match[1]) for key in shapes if (match := _FIRST_RELEASE.fullmatch(key)))
    count = sum(f"model.1.sub.{b}.RDB1.conv1.0.weight" in shapes for b in blocks)
    names = [
        [[f"model.1.sub.{b}.RDB{d}.conv{c}.0" for c in range(1, DENSE + 1)] for d in sections]
        for b in range(count)
    ]
    if len(numbers) < 3 or numbers[0] != 0 or len(numbers) - 3 > MAX_DOUBLINGS:
        raise _refused(path, "is no network of the kind ESRGAN")
    before, *doubling, large, last = (f"model.{number}" for number in numbers)
    return _checked(path, shapes, (before, names, f"model.1.sub.{count}", doubling, large, last))


def _checked(path: Path, shapes: Mapping[str, Any], layers: _Layers) -> _Layers:
    first, dense, merge, doubling, large, last = layers
    inner = [name for block in dense for one in block for name in one]
    for name in (first, *inner, merge, *doubling, large, last):
        if len(shapes.get(f"{name}.weight", ())) != 4:
            raise _refused(path, f"lacks {name}.weight")
    return layers


def _weights(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights by the names of their layers."""
    return {
        key.removeprefix(prefix).removesuffix(".weight"): shape
        for key, shape in shapes.items()
        if key.endswith(".weight")
    }


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor, from the header: nothing else is read."""
    if path.suffix.lower() in PICKLES:
        raise ModelFileError(
            f"{path.name} is a pickle, which can run any program when opened",
            field="network",
            value=str(path),
            hint="Only safetensors is opened: get the network as that, or convert it where you trust it.",
        )
    if not path.is_file():
        raise ModelFileError(
            "no such file or folder",
            field="network",
            value=str(path),
            hint="Give a .safetensors file, or the folder of a network that Sfumato trained.",
        )
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _refused(path, f"has {size // 2**20} MB; upscaling networks have less than 1024")
    header = read_header(path, field="network")
    kinds = {key: tensor.dtype for key, tensor in header.tensors.items()}
    wrong = sorted(key for key, kind in kinds.items() if kind not in FRACTIONS)
    if wrong:
        raise _refused(path, f"holds {kinds[wrong[0]]} in {wrong[0]} where fractions belong")
    return header.shapes


def _refused(path: Path, what: str) -> ModelFileError:
    return ModelFileError(
        f"{path.name} {what}",
        field="network",
        value=str(path),
        hint="Networks of the kind ESRGAN and Real-ESRGAN are supported, as safetensors.",
    )
