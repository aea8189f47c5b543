"""One evaluation of the network in overlapping windows, for latents larger than it was trained on.

Every window is predicted on its own, and the predictions are averaged with smooth weights at every step,
which is MultiDiffusion (Bar-Tal et al. 2023, arXiv 2302.08113, Eq. 5): as x0 is affine in the prediction,
averages of one are averages of the other. The grid of windows lies elsewhere at every step, so that whatever
a border leaves is drawn over by the middle of another window.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.imaging.tiles import Tile, Tiling
from sfumato.models.backends.base import Array
from sfumato.samplers.arrays import array_namespace

# Rows of one call: more gain no speed where a call is a few milliseconds, and fewer waste less on the last
# call of a step, which is filled up so that a compiled backend meets one shape only.
ROWS: Final = 8
# Parts of the pitch by which the grid moves from step to step. Of these two, multiples come round to the same
# place as late as any can: the golden ratio, and the square root of two less one.
_DOWN: Final = 0.6180339887498949
_ACROSS: Final = 0.41421356237309515


@dataclass(frozen=True)
class Windows:
    """Windows of at most `side` x `side` latents that share `overlap` of them with their neighbours, 0 to
    `side` - 1. `downsample` is how many pixels one latent spans per side.
    """

    side: int
    overlap: int
    downsample: int

    def needed(self, height: int, width: int) -> bool:
        """Tell whether `height` x `width` latents are more than one window."""
        return height > self.side or width > self.side

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of a window over `height` x `width` latents."""
        return min(height, self.side), min(width, self.side)

    def at(self, step: int, height: int, width: int) -> Tiling:
        """Return the windows of a step; it depends on nothing else where they lie."""
        high, wide = self.size(height, width)
        tops = _starts(height, high, self.overlap, step * _DOWN % 1)
        lefts = _starts(width, wide, self.overlap, step * _ACROSS % 1)
        return Tiling(height, width, tops, lefts, high, wide)


def windows_of(side: int, overlap: float, downsample: int) -> Windows:
    """Return windows of `side` pixels that overlap by the share `overlap` of it."""
    latents = max(1, side // downsample)
    return Windows(latents, min(latents - 1, round(overlap * latents)), downsample)


@dataclass(frozen=True)
class Chunk:
    """What one call of the network sees: of rows of latents, by their number, one window each."""

    rows: tuple[int, ...]
    tiles: tuple[Tile, ...]

    def cut(self, latents: Array) -> Array:
        """Return the windows `(n,C,h,w)` of `latents (R,C,H,W)`."""
        xp = array_namespace(latents)
        parts = zip(self.rows, self.tiles, strict=True)
        return xp.stack([latents[(row, slice(None), *tile.place)] for row, tile in parts], axis=0)

    def of_rows(self, context: Array) -> Array:
        """Return the context `(n,T,D)` of the windows, of that of the rows `(R,T,D)`."""
        xp = array_namespace(context)
        return xp.stack([context[row] for row in self.rows], axis=0)

    def cut_hint(self, hint: Array, downsample: int) -> Array:
        """Return the windows `(n,3,h,w)` of a picture `(1,3,H,W)` with `downsample` pixels per latent."""
        xp = array_namespace(hint)
        places = (_scaled(tile, downsample).place for tile in self.tiles)
        return xp.stack([hint[(0, slice(None), *place)] for place in places], axis=0)


Evaluate: TypeAlias = Callable[[Chunk], tuple[Array, ...]]  # latents (n,C,h,w) that belong to a chunk
Convert: TypeAlias = Callable[[NDArray[np.float32]], Array]


def over_windows(
    tiling: Tiling, num_rows: int, max_rows: int, evaluate: Evaluate, asarray: Convert
) -> tuple[Array, ...]:
    """Return what `evaluate` makes of all windows of `num_rows` rows of latents, blended: arrays
    `(num_rows,C,H,W)`. `asarray` makes arrays of the kind that it returns.

    It is called with `max_rows` windows at most, or ROWS where that is less, and always with as many; what it
    returns is added up as it comes, so that no more than one call's windows are in memory.
    """
    tiles, weights = tiling.tiles(), [asarray(weight) for weight in tiling.weights()]
    places = [(row, number) for number in range(len(tiles)) for row in range(num_rows)]
    sums: list[Array] = []
    kinds: list[Any] = []
    for chunk, numbers in _chunks(places, tiles, min(max_rows, ROWS, len(places))):
        made = evaluate(chunk)
        if not sums:
            sums = [asarray(_zeros(num_rows, one.shape[1], tiling)) for one in made]
            kinds = [one.dtype for one in made]
        for total, one in zip(sums, made, strict=True):
            for at, number in enumerate(numbers):
                place = chunk.rows[at], slice(None), *chunk.tiles[at].place
                total[place] += one[at] * weights[number]
    return tuple(
        array_namespace(total).astype(total, kind, copy=False)
        for total, kind in zip(sums, kinds, strict=True)
    )


def _chunks(
    places: list[tuple[int, int]], tiles: tuple[Tile, ...], size: int
) -> Iterator[tuple[Chunk, list[int]]]:
    """Yield chunks of `size` windows and the numbers of their tiles; those that fill up the last one have no
    number.
    """
    for at in range(0, len(places), size):
        part = places[at : at + size]
        filled = part + [part[-1]] * (size - len(part))
        rows = tuple(row for row, _ in filled)
        yield Chunk(rows, tuple(tiles[number] for _, number in filled)), [number for _, number in part]


def _starts(size: int, tile: int, overlap: int, shift: float) -> tuple[int, ...]:
    """Return where windows begin that cover `size`: a regular grid, moved by `shift` in [0, 1) of its pitch
    towards the beginning, whose ends are kept inside.
    """
    if size <= tile:
        return (0,)
    pitch = tile - overlap
    count = math.ceil((size - overlap) / pitch)
    moved = math.floor(shift * pitch)
    return tuple(sorted({min(max(k * pitch - moved, 0), size - tile) for k in range(count + 1)}))


def _zeros(num_rows: int, channels: int, tiling: Tiling) -> NDArray[np.float32]:
    return np.zeros((num_rows, channels, tiling.height, tiling.width), np.float32)


def _scaled(tile: Tile, factor: int) -> Tile:
    return Tile(tile.top * factor, tile.left * factor, tile.height * factor, tile.width * factor)
