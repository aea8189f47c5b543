from pathlib import Path

import numpy as np
import pytest

from edit_desk import desk, rendered, tiny_desk
from judged import needs_font
from sfumato.evaluation.edits import changes
from sfumato.evaluation.edits.changes import CHANGES, LOOK, OBJECT, SUFFIX, Change
from sfumato.evaluation.edits.scenes import changed
from sfumato.imaging.annotators import grey
from sfumato.recipe.codec import from_toml
from sfumato.recipe.image import Recipe
from sfumato.scenes import vocabulary as words

ROOT = Path(__file__).parents[3]


@needs_font
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_the_truth_scores_and_a_picture_that_is_unchanged_does_not(change: Change) -> None:
    truth, unchanged = [], []
    for number in range(6):
        after = change.after[number % len(change.after)]
        before, wanted = changed(desk().rng(change.name, number), change.before, after)
        old, new = rendered(before, number), rendered(wanted, number)
        old = grey(old) if change.greyed else old
        truth.append(changes.values(change, desk().look(new), desk().look(old), wanted))
        unchanged.append(changes.values(change, desk().look(old), desk().look(new), wanted))
    # Some styles leave little of an object: the judge does not know each one again.
    assert np.mean([one[OBJECT] for one in truth]) >= 0.6
    assert np.mean([one[LOOK] for one in truth]) >= 0.8
    assert np.mean([one[LOOK] for one in unchanged]) <= 0.2
    assert [one[LOOK + SUFFIX] for one in truth] == [one[LOOK] for one in unchanged]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("colour", "black-and-white-to-colour"),
        ("sketch", "sketch-to-picture"),
        ("night", "day-to-night"),
        ("day", "night-to-day"),
        ("restyle", "restyle"),
    ],
)
def test_strengths_are_those_of_the_recipes(name: str, recipe: str) -> None:
    written = from_toml((ROOT / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8"), Recipe)
    (change,) = [one for one in CHANGES if one.name == name]
    assert written.image is not None
    assert written.image.strength == change.strength
    assert f"recipes/{recipe}.toml" in change.about


@needs_font
def test_every_style_is_a_group_and_the_rest_is_none() -> None:
    by_name = {change.name: change for change in CHANGES}
    cases = list(changes.cases(tiny_desk(), 1, change=by_name["restyle"]))
    assert [case.group for case in cases] == list(words.STYLE_NAMES[1:])
    (case,) = changes.cases(tiny_desk(), 1, change=by_name["colour"])
    before, after = (one.pixels for one in case.pictures)
    assert case.group == ""
    assert (before.min(axis=-1) == before.max(axis=-1)).all()
    assert (before != after).mean() > 0.5
