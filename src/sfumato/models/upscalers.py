"""Larger pictures: by a small network that has learned what edges look like, or by Lanczos, behind one call.

A learned upscaler is a folder of `config.json` and safetensors. It runs on openvino, in overlapping tiles, so
that memory does not grow with the picture; nothing here imports torch.
"""

import json
import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open

from sfumato.errors import MissingExtraError, ModelFileError
from sfumato.imaging.resize import lanczos
from sfumato.imaging.tiles import Tiling, plan
from sfumato.models.files import Config, NetworkFiles, damaged, read_json

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
    """A loaded network that makes pictures four times as wide and high. Build it with `load_upscaler`."""

    def __init__(self, files: NetworkFiles, network: "Network") -> None:
        self.shape = UpscalerShape.of(files.config)
        self._files = files
        self._network = network

    def enlarge(self, picture: Image.Image, largest_tile: int = LARGEST_TILE) -> Generator[Upscaling]:
        """Make `picture` (RGB) four times as wide and high, yielding a report after each tile.

        Tiles of at most `largest_tile` pixels a side overlap by twice the network's reach and are blended.
        What a tile cannot see beyond its border matters least where its weight is least: the result is that
        of one large tile within a level of 255. Raises ModelFileError for weights that do not fit.
        """
        small = tiling_of(picture.height, picture.width, self.shape.reach, largest_tile)
        total = len(small.tiles())
        result = np.empty((FACTOR * small.height, FACTOR * small.width, 3), np.uint8)
        for number, (rows, band) in enumerate(self._bands(np.asarray(picture), small), start=1):
            if rows is not None:
                result[rows] = _bytes(band[:, : rows.stop - rows.start])
            if number < total:
                yield Upscaling(number, total)
        yield Upscaling(total, total, Image.fromarray(result))

    def _bands(self, pixels: Pixels, small: Tiling) -> Generator[tuple[slice | None, NDArray[np.float32]]]:
        """Run the tiles of `pixels` row by row. Yields after each: the rows of the large picture that it
        completes, None if it is not the last one across; and the band `(3,H,W)` of sums so far, in which
        those rows are the first ones.
        """
        large = small.scaled(FACTOR)
        # A tile's weight is one number for each of its rows times one for each of its columns.
        down = Tiling(large.height, 1, large.tops, (0,), large.tile_height, 1).weights()
        across = Tiling(1, large.width, (0,), large.lefts, 1, large.tile_width).weights()
        band = np.zeros((3, large.tile_height, large.width), np.float32)
        for number, tile in enumerate(small.tiles()):
            row, column = divmod(number, len(across))
            left = FACTOR * tile.left
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
        """Return the network's output `(3,4h,4w)` for one tile `(h,w,3)`."""
        from sfumato.models.backends.openvino.networks import Graph
        from sfumato.models.backends.openvino.upscaler import build_upscaler
        from sfumato.models.backends.openvino.weights import Weights

        inputs = pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - np.float32(1)
        shape = inputs.shape

        def build() -> tuple[Any, Weights]:
            weights = Weights(self._files.weights)
            model = build_upscaler(weights, self._files.config, shape)
            weights.check_all_taken()
            return model, weights

        return self._network.run(Graph(shape, build), {"pictures": np.ascontiguousarray(inputs)})[0][0]


def upscale(picture: Image.Image, width: int, height: int, upscaler: Upscaler | None) -> Generator[Upscaling]:
    """Make `picture` (RGB) `width` x `height` pixels large, yielding reports; the last one has the result.

    With an upscaler, its network makes the picture four times as wide and high, and Lanczos does what is left
    to the size asked for, down or up; without one (None), Lanczos does all of it. Raises ModelFileError for
    weights that do not fit, ValueError for a side below 1.
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
    _header(weights)
    return NetworkFiles("upscaler", config, weights)


def upscaler_facts(folder: Path) -> dict[str, Any]:
    """Return what training wrote down about the weights in `folder`: how good they are. Raises
    ModelFileError as `locate_upscaler` does, and when nothing was written.
    """
    weights = locate_upscaler(folder).weights
    try:
        facts = json.loads(_header(weights).get(FACTS, "null"))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise damaged(weights, "does not say how good it is")
    return facts


def load_upscaler(folder: Path | None = None) -> Upscaler:
    """Load the upscaler in `folder`; None: the one that ships with the package.

    Raises ModelFileError as `locate_upscaler` does, MissingExtraError where openvino cannot be imported.
    """
    files = locate_upscaler(bundled_upscaler() if folder is None else folder)
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
    return Upscaler(files, Network(shared_core(), files, options, name="upscaler", kept=2))


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


def _header(weights: Path) -> dict[str, str]:
    try:
        with safe_open(weights, framework="np") as file:
            if not file.keys():
                raise damaged(weights, "holds no tensors")
            return dict(file.metadata() or {})
    except ModelFileError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(weights, f"is damaged or truncated ({error})") from error
