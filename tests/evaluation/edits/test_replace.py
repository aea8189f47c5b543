import numpy as np

from edit_desk import desk, rendered
from judged import needs_font
from sfumato.evaluation.edits import replace
from sfumato.evaluation.edits.desk import Seen
from sfumato.evaluation.edits.replace import NEW, NEW_ALONE, OTHER, OTHER_BEFORE
from sfumato.evaluation.edits.scenes import replaced
from sfumato.scenes.scene import Scene

NOTHING = Seen(("key", "ring"), "day", "plain")


@needs_font
def test_the_truth_scores_and_a_picture_that_is_unchanged_does_not() -> None:
    scenes = [replaced(desk().rng("replace", number)) for number in range(8)]
    truth, unchanged = [], []
    for scene, wanted in scenes:
        old, new = desk().look(rendered(scene)), desk().look(rendered(wanted))
        alone = desk().look(rendered(Scene(wanted.objects[:1], wanted.background)))
        truth.append(replace.values(old, new, alone, wanted))
        unchanged.append(replace.values(old, old, alone, wanted))
    assert np.mean([one[NEW] for one in truth]) >= 0.75
    assert np.mean([one[OTHER] for one in truth]) >= 0.75
    assert np.mean([one[NEW_ALONE] for one in truth]) >= 0.75
    assert np.mean([one[NEW] for one in unchanged]) <= 0.25
    assert all(one[OTHER] == one[OTHER_BEFORE] for one in unchanged)


def test_either_of_the_two_likeliest_counts() -> None:
    wanted = Scene(("cat", "rabbit"), "beach", relation="left of")
    both = Seen(("rabbit", "cat"), "day", "plain")
    found = replace.values(NOTHING, both, Seen(("dog", "cat"), "day", "plain"), wanted)
    assert found == {NEW: 1.0, NEW_ALONE: 0.0, OTHER: 1.0, OTHER_BEFORE: 0.0}


@needs_font
def test_the_first_case_is_the_dog_that_becomes_a_cat_and_the_right_half_stays() -> None:
    (case,) = replace.cases(desk(), 1)
    assert case.title == "a cat to the left of a rabbit on a beach"
    before, after = (one.pixels for one in case.pictures)
    np.testing.assert_array_equal(before[:, 64:], after[:, 64:])
    np.testing.assert_array_equal(before[:36], after[:36])
    assert (before != after)[36:, :64].mean() > 0.1
    assert set(case.values) == {NEW, NEW_ALONE, OTHER, OTHER_BEFORE}
