"""Heat lies where the map is high, over a picture that stays readable; grids have room for every label."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sfumato.imaging.heat import labelled_grid, overlay

PICTURE = np.full((64, 96, 3), (200, 40, 40), np.uint8)


def corner() -> NDArray[np.float32]:
    heat = np.zeros((8, 12), np.float32)
    heat[:4, :6] = 1
    return heat


def test_heat_is_colour_where_the_map_is_high_and_grey_where_it_is_low() -> None:
    drawn = overlay(PICTURE, corner())
    assert (drawn.shape, drawn.dtype) == (PICTURE.shape, np.uint8)
    cold, hot = drawn[60, 90].astype(int), drawn[4, 4].astype(int)
    assert np.ptp(cold) == 0
    assert np.ptp(hot) > 40
    assert hot.sum() > cold.sum()


@pytest.mark.parametrize("scale", [1e-9, 7.0])
def test_only_the_shape_of_a_map_matters(scale: float) -> None:
    drawn = overlay(PICTURE, (corner() * scale + scale).astype(np.float32)).astype(int)
    assert np.abs(drawn - overlay(PICTURE, corner())).max() <= 1


def test_a_flat_map_has_no_heat() -> None:
    drawn = overlay(PICTURE, np.full((8, 12), 0.5, np.float32))
    assert np.ptp(drawn) == 0


def test_every_cell_of_a_grid_is_its_picture_under_its_label() -> None:
    pictures = [np.full((64, 96, 3), 40 * number, np.uint8) for number in range(5)]
    grid = np.asarray(labelled_grid([(f"word {n}", one) for n, one in enumerate(pictures)]))
    places = [np.argwhere((grid == 40 * number).all(axis=-1)) for number in range(1, 5)]
    assert all(len(one) >= 64 * 96 for one in places)
    above = [grid[one[0][0] - 18 : one[0][0], one[0][1] : one[0][1] + 60] for one in places]
    assert all(one.min() < 120 for one in above)


def test_a_long_or_odd_label_stays_on_its_line() -> None:
    short = labelled_grid([("frog", PICTURE)])
    for label in ("frog" * 1000, "a\nb\x00", "日本", ""):
        assert labelled_grid([(label, PICTURE)]).size == short.size


def test_a_grid_has_at_most_so_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.imaging.heat.MAX_GRID_PIXELS", 4 * 70 * 70)
    grid = labelled_grid([("frog", np.zeros((140, 140, 3), np.uint8))] * 4)
    assert max(grid.size) < 3 * 90 + 40
