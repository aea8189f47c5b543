"""Overlapping tiles over a rectangle: where they lie, how much each counts at every place, and their blend.

Pure geometry, in whatever unit the caller counts. Tiles form a grid of rows and columns, so that the weight
of a tile is the product of a weight down and a weight across, and both sum to one along their side.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tile:
    """A tile of `height` x `width` whose first row and column are `top` and `left`."""

    top: int
    left: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array `(..., H, W)` with after an Ellipsis."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Tiling:
    """Tiles over `height` x `width`: one at every pair of `tops` and `lefts`, all of `tile_height` x
    `tile_width`. Make it with `plan`.
    """

    height: int
    width: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    tile_height: int
    tile_width: int

    def tiles(self) -> tuple[Tile, ...]:
        """Return the tiles, row by row."""
        size = (self.tile_height, self.tile_width)
        return tuple(Tile(top, left, *size) for top in self.tops for left in self.lefts)

    def scaled(self, factor: int) -> "Tiling":
        """Return the same tiles in a unit `factor` times as fine: latents to pixels."""
        return Tiling(
            self.height * factor,
            self.width * factor,
            tuple(top * factor for top in self.tops),
            tuple(left * factor for left in self.lefts),
            self.tile_height * factor,
            self.tile_width * factor,
        )

    def weights(self) -> tuple[NDArray[np.float32], ...]:
        """Return the weight `(tile_height, tile_width)` of each tile of `tiles`: above zero everywhere, and
        summing to one over the tiles at every place.
        """
        down = _side_weights(self.height, self.tops, self.tile_height)
        across = _side_weights(self.width, self.lefts, self.tile_width)
        return tuple((one[:, None] * other).astype(np.float32) for one in down for other in across)


def plan(height: int, width: int, tile_height: int, tile_width: int, overlap: int) -> Tiling:
    """Return the fewest tiles of `tile_height` x `tile_width` that cover `height` x `width` and overlap their
    neighbours by at least `overlap`, spread evenly.

    A side no longer than a tile's gets one tile of that side. Raises ValueError for a size below 1, an
    overlap below 0, and tiles that would have to overlap as a whole.
    """
    cut = [tile for size, tile in ((height, tile_height), (width, tile_width)) if size > tile]
    if min(height, width, tile_height, tile_width) < 1 or overlap < 0 or any(overlap >= tile for tile in cut):
        raise ValueError(f"no tiles of {tile_height}x{tile_width} overlap by {overlap}")
    return Tiling(
        height,
        width,
        _starts(height, tile_height, overlap),
        _starts(width, tile_width, overlap),
        min(tile_height, height),
        min(tile_width, width),
    )


def blend(tiling: Tiling, parts: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the weighted sum `(..., H, W)` of `parts`, one array `(..., tile_height, tile_width)` for each
    of `tiling.tiles()` in their order.

    Parts are taken one at a time, so an iterator that makes them needs memory for one. Raises ValueError
    when there are too few or too many.
    """
    whole: NDArray[np.float32] | None = None
    for tile, weight, part in zip(tiling.tiles(), tiling.weights(), parts, strict=True):
        if whole is None:
            whole = np.zeros((*part.shape[:-2], tiling.height, tiling.width), np.float32)
        whole[(..., *tile.place)] += weight * part
    assert whole is not None  # a tiling has at least one tile
    return whole


def _starts(size: int, tile: int, overlap: int) -> tuple[int, ...]:
    if size <= tile:
        return (0,)
    number = math.ceil((size - overlap) / (tile - overlap))
    return tuple(round(index * (size - tile) / (number - 1)) for index in range(number))


def _side_weights(size: int, starts: tuple[int, ...], tile: int) -> list[NDArray[np.float64]]:
    """Return the weight `(tile,)` of each tile along one side: a rise over what it shares with the tile
    before, one, and a fall over what it shares with the tile after; then divided by their sum.
    """
    raw: list[NDArray[np.float64]] = []
    for index, start in enumerate(starts):
        weight = np.ones(tile)
        if index > 0:
            shared = starts[index - 1] + tile - start
            weight[:shared] *= _rise(shared)
        if index < len(starts) - 1:
            shared = start + tile - starts[index + 1]
            weight[tile - shared :] *= _rise(shared)[::-1]
        raw.append(weight)
    total = np.zeros(size)
    for start, weight in zip(starts, raw, strict=True):
        total[start : start + tile] += weight
    return [weight / total[start : start + tile] for start, weight in zip(starts, raw, strict=True)]


def _rise(length: int) -> NDArray[np.float64]:
    """Return `length` weights from nearly 0 to nearly 1, smooth at both ends, that sum to one with their own
    reverse.
    """
    t = (np.arange(length) + 0.5) / length
    return t * t * t * (t * (6 * t - 15) + 10)  # smootherstep (Perlin 2002, "Improving Noise")
