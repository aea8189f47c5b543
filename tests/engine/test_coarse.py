"""What is coarse stays, what is fine does not."""

import numpy as np
import pytest

from sfumato.engine.coarse import KeepCoarse, smoothing
from sfumato.engine.plan import Guided

LEVELS = (4.0, 3.0, 2.0, 1.0)


def guided(sigma: float) -> Guided:
    nothing = np.zeros((1, 1, 8, 12), np.float32)
    return Guided(nothing, sigma, nothing, nothing, "eps", 0)


def keeping(reference: np.ndarray, share: float = 1.0) -> KeepCoarse:
    down, across = smoothing(8, 4), np.ascontiguousarray(smoothing(12, 6).T)
    return KeepCoarse(reference.astype(np.float32), down, across, LEVELS, share)


@pytest.mark.parametrize(("size", "cells"), [(8, 4), (12, 5), (32, 16), (7, 7), (9, 1)])
def test_smoothing_keeps_what_is_even(size: int, cells: int) -> None:
    matrix = smoothing(size, cells)
    assert matrix.shape == (size, size)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert matrix.min() > -1e-6


def test_smoothing_takes_what_alternates_and_leaves_slopes() -> None:
    matrix = smoothing(32, 16)
    alternating = np.array([(-1) ** k for k in range(32)], np.float32)
    assert np.allclose(matrix @ alternating, 0, atol=1e-5)
    slope = np.arange(32, dtype=np.float32)
    assert np.allclose((matrix @ slope)[2:-2], slope[2:-2], atol=1e-3)


def test_the_coarse_part_becomes_that_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    reference, x0 = rng.standard_normal((2, 1, 3, 8, 12)).astype(np.float32)
    one = keeping(reference)
    made = one.after(x0, guided(4.0))
    difference = one.down @ (made - reference) @ one.across
    assert np.abs(difference).mean() < 0.4 * np.abs(one.down @ (x0 - reference) @ one.across).mean()
    even = keeping(np.full((1, 3, 8, 12), 0.25)).after(np.zeros((1, 3, 8, 12), np.float32), guided(1.0))
    assert np.allclose(even, 0.25, atol=1e-5)
    assert np.array_equal(one.before(x0, 4.0), x0)


def test_what_alternates_is_the_predictions_own() -> None:
    x0 = np.fromfunction(lambda b, c, y, x: (-1.0) ** x, (1, 1, 8, 12)).astype(np.float32)
    assert np.allclose(keeping(np.zeros_like(x0)).after(x0, guided(2.0)), x0, atol=1e-5)


@pytest.mark.parametrize(
    ("share", "kept"),
    [(1.0, (True, True, True, True)), (0.5, (True, True, False, False)), (0.25, (True,) + (False,) * 3)],
)
def test_it_is_kept_for_a_share_of_the_steps(share: float, kept: tuple[bool, ...]) -> None:
    one = keeping(np.ones((1, 1, 8, 12)), share)
    zeros = np.zeros((1, 1, 8, 12), np.float32)
    assert tuple(bool(one.after(zeros, guided(level)).any()) for level in LEVELS) == kept


def test_between_two_levels_the_step_before_counts() -> None:
    one = keeping(np.ones((1, 1, 8, 12)), 0.5)
    zeros = np.zeros((1, 1, 8, 12), np.float32)
    assert one.after(zeros, guided(3.5)).any()
    assert not one.after(zeros, guided(1.5)).any()
