"""Tiles: every place is covered, weights sum to one, and a blend gives back what the tiles were cut from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.imaging.tiles import Tile, Tiling, blend, plan


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    overlap = draw(st.integers(0, 12))
    tile_height, tile_width = (draw(st.integers(overlap + 1, overlap + 20)) for _ in range(2))
    height, width = (draw(st.integers(1, 70)) for _ in range(2))
    return plan(height, width, tile_height, tile_width, overlap)


@given(tilings())
@settings(deadline=None)
def test_weights_are_positive_and_sum_to_one(tiling: Tiling) -> None:
    total = np.zeros((tiling.height, tiling.width))
    for tile, weight in zip(tiling.tiles(), tiling.weights(), strict=True):
        assert weight.shape == (tile.height, tile.width)
        assert weight.dtype == np.float32
        assert (weight > 0).all()
        total[tile.place] += weight
    assert np.abs(total - 1).max() < 1e-6


@given(tilings(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_blend_of_what_was_cut_is_the_picture(tiling: Tiling, seed: int) -> None:
    picture = np.random.default_rng(seed).uniform(-1, 1, (2, 3, tiling.height, tiling.width))
    picture = picture.astype(np.float32)
    parts = (picture[(..., *tile.place)] for tile in tiling.tiles())
    whole = blend(tiling, parts)
    assert whole.shape == picture.shape
    assert whole.dtype == np.float32
    assert np.abs(whole - picture).max() < 1e-6


@given(tilings(), st.integers(1, 8))
@settings(deadline=None)
def test_a_finer_unit_changes_nothing_but_the_unit(tiling: Tiling, factor: int) -> None:
    fine = tiling.scaled(factor)
    for tile, larger in zip(tiling.tiles(), fine.tiles(), strict=True):
        assert larger == Tile(*(factor * value for value in (tile.top, tile.left, tile.height, tile.width)))
    picture = np.ones((fine.height, fine.width), np.float32)
    assert np.abs(blend(fine, (picture[one.place] for one in fine.tiles())) - 1).max() < 1e-6


@given(st.integers(1, 200), st.integers(0, 12), st.integers(1, 30))
@settings(deadline=None)
def test_neighbours_share_what_was_asked_in_the_fewest_tiles(size: int, overlap: int, more: int) -> None:
    tile = overlap + more
    starts = plan(size, 1, tile, tile, overlap).tops
    assert starts[0] == 0
    if size <= tile:
        assert starts == (0,)
        return
    assert starts[-1] == size - tile
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= tile - overlap).all()
    assert overlap + (len(starts) - 1) * (tile - overlap) < size  # one tile fewer would not reach
    assert np.ptp(steps) <= 1


def test_a_picture_smaller_than_a_tile_is_one_tile() -> None:
    tiling = plan(5, 30, 8, 16, 4)
    assert tiling.tiles() == (Tile(0, 0, 5, 16), Tile(0, 7, 5, 16), Tile(0, 14, 5, 16))
    whole = plan(7, 8, 8, 8, 4)
    assert whole.tiles() == (Tile(0, 0, 7, 8),)
    assert (whole.weights()[0] == 1).all()
    assert plan(2, 3, 2, 3, 8).tiles() == (Tile(0, 0, 2, 3),)


def test_a_step_between_tiles_becomes_a_smooth_slope() -> None:
    tiling = plan(1, 24, 1, 16, 0)
    assert [tile.left for tile in tiling.tiles()] == [0, 8]
    slope = blend(tiling, [np.zeros((1, 16), np.float32), np.ones((1, 16), np.float32)])[0]
    assert (np.diff(slope) >= 0).all()
    assert slope[8] < 0.01
    assert slope[15] > 0.99
    assert np.diff(slope).max() < 0.3


def test_parts_are_taken_one_at_a_time_and_must_be_as_many_as_tiles() -> None:
    tiling = plan(4, 12, 4, 6, 2)
    assert len(tiling.tiles()) == 3
    for number in (2, 4):
        with pytest.raises(ValueError, match="zip"):
            blend(tiling, (np.ones((4, 6), np.float32) for _ in range(number)))


@pytest.mark.parametrize("sizes", [(0, 5, 4, 4, 1), (5, 5, 4, 4, 4), (5, 5, 4, 4, -1), (5, 5, 0, 4, 0)])
def test_impossible_tiles_are_refused(sizes: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="no tiles"):
        plan(*sizes)
