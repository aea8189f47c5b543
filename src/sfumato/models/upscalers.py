"""Larger pictures: by a small network that has learned what edges look like, or by Lanczos, behind one call.

A learned upscaler is a folder of `config.json` and safetensors, or one safetensors file of the kind ESRGAN
(see `sfumato.models.esrgan`). It runs on openvino, in overlapping tiles, so that memory does not grow with
the picture; nothing here imports torch.
"""

import json
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.errors import MissingExtraError
from sfumato.imaging.resize import lanczos
from sfumato.imaging.tiles import Tiling, plan
from sfumato.models.esrgan import EsrganFile, EsrganShape, read_esrgan
from sfumato.models.network_files import Config, NetworkFiles, damaged, read_json
from sfumato.models.safetensors_header import read_header

if TYPE_CHECKING:
    from sfumato.models.backends.openvino.networks import Network

FACTOR: Final = 4  # how many times as long the network makes each side
SHARE: Final = 0.1  # of what a residual block makes, that is added
CLASS: Final = "SfumatoUpscaler"
WEIGHTS: Final = "upscaler.safetensors"
FACTS: Final = "upscaler"  # under this key the header of the weights says how good they are
MAX_WIDTH: Final = 512
MAX_BLOCKS: Final = 40

LARGEST_TILE: Final = 192  # side of a tile of the small picture; a smaller picture is one tile
# ESRGAN's networks reach hundreds of pixels far, and what is that far away hardly counts: their tiles see so
# many pixels beyond what is theirs.
ESRGAN_REACH: Final = 16
ESRGAN_BYTES: Final = 64 * 2**20  # of one layer at the large size; a few of them are in memory at a time
ESRGAN_TILE: Final = (48, 256)  # smallest and largest side

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class UpscalerShape:
    """How large a network is: `width` channels in `blocks` residual blocks."""

    width: int
    blocks: int

    @classmethod
    def of(cls, config: Config) -> "UpscalerShape":
        """Read a checked config.json."""
        return cls(config["width"], config["blocks"])

    def config(self) -> dict[str, Any]:
        """Return what stands in config.json."""
        fixed = {"_class_name": CLASS, "factor": FACTOR, "share": SHARE}
        return {**fixed, "width": self.width, "blocks": self.blocks}

    @property
    def reach(self) -> int:
        """How many pixels of the small picture away a pixel can still have a say: one for each 3x3
        convolution on the way.
        """
        return 2 * self.blocks + 3


@dataclass(frozen=True, eq=False)
class Upscaling:
    """A report: `finished` of `total` tiles are done. `picture` is there with the last one."""

    finished: int
    total: int
    picture: Image.Image | None = None


class Upscaler:
    """A loaded network that makes pictures `factor` times as wide and high. Build it with `load_upscaler`.

    `build` makes the graph for inputs of a shape, and what must stay in memory with it. Tiles overlap by
    twice `reach` and have at most `largest_tile` a side, both counted in units of `fold` pixels, at whose
    multiples they begin.
    """

    def __init__(
        self,
        network: "Network",
        build: Callable[[tuple[int, ...]], tuple[Any, Any]],
        *,
        factor: int,
        reach: int,
        largest_tile: int = LARGEST_TILE,
        fold: int = 1,
    ) -> None:
        self.factor = factor
        self.largest_tile = largest_tile
        self._network = network
        self._build = build
        self._reach = reach
        self._fold = fold

    def enlarge(self, picture: Image.Image, largest_tile: int | None = None) -> Generator[Upscaling]:
        """Make `picture` (RGB) `factor` times as wide and high, yielding a report after each tile.

        Tiles of at most `largest_tile` (default: the network's own) a side overlap by twice the network's
        reach and are blended. What a tile cannot see beyond its border matters least where its weight is
        least: with a network that reaches no further, the result is that of one large tile within a level of
        255. Raises ModelFileError for weights that do not fit.
        """
        pixels = _padded(np.asarray(picture), self._fold)
        height, width = (side // self._fold for side in pixels.shape[:2])
        most = self.largest_tile if largest_tile is None else largest_tile
        small = tiling_of(height, width, self._reach, most).scaled(self._fold)
        total = len(small.tiles())
        result = np.empty((self.factor * small.height, self.factor * small.width, 3), np.uint8)
        for number, (rows, band) in enumerate(self._bands(pixels, small), start=1):
            if rows is not None:
                result[rows] = _bytes(band[:, : rows.stop - rows.start])
            if number < total:
                yield Upscaling(number, total)
        result = result[: self.factor * picture.height, : self.factor * picture.width]
        yield Upscaling(total, total, Image.fromarray(result))

    def _bands(self, pixels: Pixels, small: Tiling) -> Generator[tuple[slice | None, NDArray[np.float32]]]:
        """Run the tiles of `pixels` row by row. Yields after each: the rows of the large picture that it
        completes, None if it is not the last one across; and the band `(3,H,W)` of sums so far, in which
        those rows are the first ones.
        """
        large = small.scaled(self.factor)
        # A tile's weight is one number for each of its rows times one for each of its columns.
        down = Tiling(large.height, 1, large.tops, (0,), large.tile_height, 1).weights()
        across = Tiling(1, large.width, (0,), large.lefts, 1, large.tile_width).weights()
        band = np.zeros((3, large.tile_height, large.width), np.float32)
        for number, tile in enumerate(small.tiles()):
            row, column = divmod(number, len(across))
            left = self.factor * tile.left
            part = self._run(pixels[tile.place])
            part *= down[row] * across[column]
            band[:, :, left : left + large.tile_width] += part
            if column + 1 < len(across):
                yield None, band
                continue
            top = large.tops[row]
            end = large.tops[row + 1] if row + 1 < len(down) else large.height
            yield slice(top, end), band
            kept = large.tile_height - (end - top)
            band[:, :kept] = band[:, end - top :]
            band[:, kept:] = 0

    def _run(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the network's output `(3,f*h,f*w)` for one tile `(h,w,3)`."""
        from sfumato.models.backends.openvino.networks import Graph

        inputs = pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - np.float32(1)
        shape = inputs.shape
        graph = Graph(shape, lambda: self._build(shape))
        return self._network.run(graph, {"pictures": np.ascontiguousarray(inputs)})[0][0]


def upscale(picture: Image.Image, width: int, height: int, upscaler: Upscaler | None) -> Generator[Upscaling]:
    """Make `picture` (RGB) `width` x `height` pixels large, yielding reports; the last one has the result.

    With an upscaler, its network makes the picture as many times as large as it can, and Lanczos does what is
    left to the size asked for, down or up; without one (None), Lanczos does all of it. Raises ModelFileError
    for weights that do not fit, ValueError for a side below 1.
    """
    if upscaler is None:
        yield Upscaling(1, 1, lanczos(picture, width, height))
        return
    for report in upscaler.enlarge(picture):
        if report.picture is None or report.picture.size == (width, height):
            yield report
        else:
            yield Upscaling(report.finished, report.total, lanczos(report.picture, width, height))


def tiling_of(height: int, width: int, reach: int, largest_tile: int = LARGEST_TILE) -> Tiling:
    """Return tiles over a small picture that overlap by twice `reach`: as few as `largest_tile` allows, and
    no larger than their number asks for.

    Raises ValueError when tiles would have to overlap as a whole.
    """
    overlap = 2 * reach
    sides = _side(height, largest_tile, overlap), _side(width, largest_tile, overlap)
    return plan(height, width, *sides, overlap)


def bundled_upscaler() -> Path:
    """Return the folder of the upscaler that ships with the package."""
    return Path(__file__).parent / "bundled" / "upscaler"


def locate_upscaler(folder: Path) -> NetworkFiles:
    """Find and check an upscaler's folder. Raises ModelFileError for what is missing, damaged, or another
    kind of network.
    """
    config = read_json(folder, "config.json")
    path = folder / "config.json"
    if (config.get("_class_name"), config.get("factor"), config.get("share")) != (CLASS, FACTOR, SHARE):
        raise damaged(path, f"does not name {CLASS} of factor {FACTOR} and share {SHARE}")
    for key, largest in (("width", MAX_WIDTH), ("blocks", MAX_BLOCKS)):
        value = config.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            raise damaged(path, f"holds no usable {key} ({value!r})")
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise damaged(weights, "is missing")
    read_header(weights)
    return NetworkFiles("upscaler", config, weights)


def upscaler_facts(folder: Path) -> dict[str, Any]:
    """Return what training wrote down about the weights in `folder`: how good they are. Raises
    ModelFileError as `locate_upscaler` does, and when nothing was written.
    """
    weights = locate_upscaler(folder).weights
    try:
        facts = json.loads(read_header(weights).metadata.get(FACTS, "null"))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise damaged(weights, "does not say how good it is")
    return facts


def load_upscaler(place: Path | None = None) -> Upscaler:
    """Load the upscaler in the folder or file `place`; None: the one that ships with the package.

    Raises ModelFileError as `locate_upscaler` and `read_esrgan` do, MissingExtraError where openvino cannot
    be imported.
    """
    folder = bundled_upscaler() if place is None else place
    esrgan = None if folder.is_dir() else read_esrgan(folder)
    files = locate_upscaler(folder) if esrgan is None else NetworkFiles("esrgan", {}, esrgan.path)
    try:
        from sfumato.models.backends.openvino.networks import Network, shared_core
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise MissingExtraError(
            f"the upscaler runs on openvino, which cannot be imported ({' '.join(str(error).split())})",
            hint="Run: pip install --force-reinstall openvino; or use --method lanczos",
        ) from error
    # In bfloat16, which has eight bits, an even sky would come out in steps.
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    network = Network(shared_core(), files, options, name=files.name, kept=2)
    if esrgan is None:
        return Upscaler(network, _own(files), factor=FACTOR, reach=UpscalerShape.of(files.config).reach)
    shape = esrgan.shape
    return Upscaler(
        network,
        _esrgan(esrgan),
        factor=shape.factor,
        reach=min(shape.reach, ESRGAN_REACH),
        largest_tile=_largest_tile(shape),
        fold=shape.fold,
    )


def factor_of(place: Path | None) -> int:
    """Return how many times as large the upscaler at `place` makes each side; nothing is loaded. Raises
    ModelFileError as `load_upscaler` does.
    """
    if place is None or place.is_dir():
        return FACTOR
    return read_esrgan(place).shape.factor


def _own(files: NetworkFiles) -> Callable[[tuple[int, ...]], tuple[Any, Any]]:
    def build(shape: tuple[int, ...]) -> tuple[Any, Any]:
        from sfumato.models.backends.openvino.upscaler import build_upscaler
        from sfumato.models.backends.openvino.weights import Weights

        weights = Weights(files.weights)
        model = build_upscaler(weights, files.config, shape)
        weights.check_all_taken()
        return model, weights

    return build


def _esrgan(file: EsrganFile) -> Callable[[tuple[int, ...]], tuple[Any, Any]]:
    def build(shape: tuple[int, ...]) -> tuple[Any, Any]:
        from sfumato.models.backends.openvino.esrgan import build_esrgan
        from sfumato.models.backends.openvino.weights import Weights

        weights = Weights(file.path)
        return build_esrgan(weights, file, shape), weights

    return build


def _largest_tile(shape: EsrganShape) -> int:
    """Return the side of a tile, in folded pixels, whose layers at the large size take `ESRGAN_BYTES`."""
    side = math.isqrt(ESRGAN_BYTES // (4 * shape.width)) // 2**shape.doublings
    return min(max(side, ESRGAN_TILE[0]), ESRGAN_TILE[1])


def _padded(pixels: Pixels, multiple: int) -> Pixels:
    """Return `pixels (H,W,3)` with its last row and column repeated up to multiples."""
    height, width = pixels.shape[:2]
    if height % multiple == 0 and width % multiple == 0:
        return pixels
    return np.pad(pixels, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")


def _side(size: int, largest: int, overlap: int) -> int:
    if size <= largest or largest <= overlap:
        return min(size, largest)
    number = math.ceil((size - overlap) / (largest - overlap))
    return math.ceil((size + (number - 1) * overlap) / number)


def _bytes(band: NDArray[np.float32]) -> Pixels:
    """Return pixels `(h,w,3)` of `band (3,h,w)` in [-1, 1]."""
    levels = band * np.float32(127.5)
    levels += np.float32(127.5)
    np.clip(levels, 0, 255, out=levels)
    np.rint(levels, out=levels)
    return levels.astype(np.uint8).transpose(1, 2, 0)
