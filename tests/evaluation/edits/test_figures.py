import numpy as np
import pytest

from sfumato.evaluation.edits.figures import figures_of, percentile_of, ratio_of
from sfumato.evaluation.edits.task import Case, Row
from sfumato.evaluation.metrics import wilson


def case(group: str = "", **values: float) -> Case:
    return Case("a frog", values, (), group)


def test_shares_have_wilsons_interval_and_stand_beside_their_own_cases() -> None:
    cases = [case(right=1, alone=1), case(right=0, alone=1), case(right=1, alone=0), case(right=0, alone=1)]
    (figure,) = figures_of([Row("right", "right", beside="alone", ratio=True)], cases)
    assert figure.measure == wilson(2, 4)
    assert figure.beside == wilson(3, 4)
    assert figure.ratio is not None
    assert figure.ratio.value == pytest.approx(2 / 3)
    assert figure.ratio.low < 2 / 3 < figure.ratio.high


def test_a_group_counts_its_own_cases_and_a_row_without_values_is_left_out() -> None:
    cases = [case("sketch", right=1), case("oil", right=0), case("oil", right=0)]
    rows = [Row("all", "right"), Row("oil", "right", group="oil"), Row("none", "right", group="photo")]
    rows.append(Row("nothing", "other"))
    assert [(one.row.what, one.measure.value, one.measure.n) for one in figures_of(rows, cases)] == [
        ("all", pytest.approx(1 / 3), 3),
        ("oil", 0.0, 2),
    ]


def test_points_stay_within_0_and_1_and_levels_do_not() -> None:
    cases = [case(f1=one) for one in (0.0, 1.0, 1.0)]
    points, levels = (figures_of([Row("f1", "f1", unit)], cases)[0].measure for unit in ("points", "levels"))
    assert points.value == levels.value == pytest.approx(2 / 3)
    assert points.high == 1.0 < levels.high
    assert points.low == levels.low


def test_halves_of_a_share_have_the_interval_of_a_mean() -> None:
    measure = figures_of([Row("singles", "singles")], [case(singles=one) for one in (0.5, 1, 0.5)])[0].measure
    assert measure.value == pytest.approx(2 / 3)
    assert measure != wilson(2, 3)


def test_a_percentile_is_that_of_the_values() -> None:
    found = percentile_of(np.arange(101.0))
    assert found.value == 95.0
    assert found.low < 95 < found.high <= 100


def test_ratios_are_equal_for_equal_cases_and_none_of_nothing() -> None:
    ours, theirs = np.array([0.6, 0.7, 0.65, 0.5]), np.array([0.3, 0.35, 0.3, 0.27])
    assert ratio_of(ours, theirs) == ratio_of(ours, theirs)
    assert ratio_of(ours, np.zeros(4)) is None
    single = ratio_of(ours[:1], theirs[:1])
    assert single is not None
    assert single.value == single.low == single.high == pytest.approx(2)
    rare = ratio_of(np.ones(4), np.array([0.0, 0, 0, 1]))
    assert rare is not None
    assert np.isfinite(rare.high)
