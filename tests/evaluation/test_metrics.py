import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import binomtest

from sfumato.evaluation.metrics import (
    Measure,
    frechet,
    frechet_distance,
    gaussian_frechet,
    mean_distance,
    mean_of,
    rate,
    relative_spread,
    wilson,
)


def test_a_mean_of_one_says_nothing_of_its_interval() -> None:
    alone = mean_of(np.array([3.0]))
    assert (alone.low, alone.value, alone.high, alone.n) == (3.0, 3.0, 3.0, 1)
    many = mean_of(np.arange(100.0))
    assert many.low == pytest.approx(49.5 - 1.96 * np.std(np.arange(100), ddof=1) / 10, abs=0.01)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (5, 10), (81, 263), (15, 148), (156, 156), (1, 1)])
def test_wilson_intervals_are_those_of_scipy(right: int, n: int) -> None:
    found, expected = wilson(right, n), binomtest(right, n).proportion_ci(method="wilson")
    assert (found.value, found.n) == (right / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_intervals_are_the_published_ones() -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_hold_the_share_and_stay_inside_the_unit(pair: tuple[int, int]) -> None:
    found = wilson(*pair)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    mirrored = wilson(pair[1] - pair[0], pair[1])
    assert mirrored.low == pytest.approx(1 - found.high)


@pytest.mark.parametrize(("right", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_share(right: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(right, n)


def test_frechet_of_two_normal_distributions_is_the_closed_form() -> None:
    """In one dimension it is (m - n)^2 + (s - t)^2."""
    found = gaussian_frechet(np.array([1.0]), np.array([[9.0]]), np.array([-1.0]), np.array([[4.0]]))
    assert found == pytest.approx(4 + 1)


def test_frechet_of_commuting_covariances_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    a, b = rng.uniform(0.1, 4, 6), rng.uniform(0.1, 4, 6)
    found = gaussian_frechet(
        np.zeros(6), turn @ np.diag(a) @ turn.T, np.full(6, 0.5), turn @ np.diag(b) @ turn.T
    )
    assert found == pytest.approx(6 * 0.25 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum())


def test_frechet_equals_the_matrix_square_root() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40, 5)), rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 1
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(axis=0) - b.mean(axis=0)
    expected = gap @ gap + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_a_set_with_itself_is_zero_even_with_singular_covariances() -> None:
    few = np.random.default_rng(2).normal(size=(5, 64))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(few, few + 2) == pytest.approx(64 * 4, rel=1e-5)
    assert frechet_distance(few, 3 * few) == pytest.approx(
        4 * (few.mean(axis=0) ** 2).sum() + 4 * few.var(axis=0, ddof=1).sum()
    )
    with pytest.raises(ValueError, match="two pictures"):
        frechet_distance(few[:1], few)


def test_the_frechet_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Normal distributions at squared distance 4, 200 pictures each: nearly all of 60 intervals hold it."""
    rng = np.random.default_rng(3)
    measures = [frechet(rng.normal(0, 1, (200, 2)), rng.normal([2, 0], 1, (200, 2))) for _ in range(60)]
    covered = sum(one.low <= 4 <= one.high for one in measures)
    assert covered >= 52
    assert all(one.n == 200 and one.low < one.value < one.high for one in measures)


def test_the_mean_distance_counts_every_pair_once() -> None:
    assert mean_distance(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx((5 + 0 + 5) / 3)


def test_spread_is_relative_to_real_pictures() -> None:
    rng = np.random.default_rng(4)
    real = [rng.normal(size=(4, 8)) for _ in range(12)]
    half = relative_spread([one / 2 + 7 for one in real], real, seed=0)
    assert (half.value, half.low, half.high) == pytest.approx((0.5, 0.5, 0.5))
    assert half.n == 12
    none = relative_spread([np.ones((4, 8))] * 12, real, seed=0)
    assert none == Measure(0.0, 0.0, 0.0, 12)
    other = relative_spread([rng.normal(size=(4, 8)) for _ in range(12)], real, seed=5)
    assert 0.7 < other.low < other.value < other.high < 1.4
    with pytest.raises(ValueError, match="all the same"):
        relative_spread(real, [np.ones((4, 8))] * 12, seed=0)


def test_rate_is_pictures_per_second_with_ends_in_order() -> None:
    even = rate([0.5, 0.5, 0.5])
    assert even == Measure(2.0, 2.0, 2.0, 3)
    assert rate([0.25]).value == 4.0
    uneven = rate([0.1, 5.0])
    assert uneven.value == pytest.approx(1 / 2.55)
    assert 0 < uneven.low < uneven.value < uneven.high <= 10
    assert math.isfinite(uneven.high)
