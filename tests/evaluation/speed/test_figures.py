import pytest

from sfumato.evaluation.speed.figures import Spread, paired, spread


def test_a_spread_is_median_smallest_and_largest() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)
    assert spread([1.0, 4.0]) == Spread(2.5, 1.0, 4.0, 2)


def test_ratios_are_taken_round_by_round() -> None:
    # The second round was ten times slower for both: the ratio of medians would be 1.1 or 11.
    assert paired([2.0, 22.0, 2.0], [1.0, 10.0, 1.0]) == Spread(2.0, 2.0, 2.2, 3)


def test_rounds_must_match() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired([1.0, 2.0], [1.0])
