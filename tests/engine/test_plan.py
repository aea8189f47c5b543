"""Plans as data."""

from sfumato.engine.plan import UNCONDITIONAL, Branch, Conditioning, Plan


def branch(*steps: int) -> Branch:
    return Branch(UNCONDITIONAL, 1.0, 1.0, frozenset(steps))


def test_the_most_branches_of_a_step_decide() -> None:
    assert Plan((branch(0, 1),)).max_branches == 1
    assert Plan((branch(0), branch(1))).max_branches == 1
    assert Plan((branch(0, 1, 2), branch(1), branch(1, 2))).max_branches == 3


def test_conditionings_are_compared_by_what_they_say() -> None:
    assert Conditioning(UNCONDITIONAL.blend) == UNCONDITIONAL
    assert Conditioning(UNCONDITIONAL.blend, perturbed=True) != UNCONDITIONAL
