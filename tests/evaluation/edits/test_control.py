import numpy as np
import pytest

from edit_desk import desk, rendered, tiny_desk
from judged import needs_font
from sfumato.errors import RecipeError
from sfumato.evaluation.edits import control
from sfumato.evaluation.edits.control import F1, F1_FREE, SEEN, SEEN_FREE, SEEN_REAL
from sfumato.evaluation.edits.desk import Seen


@needs_font
def test_the_scene_itself_follows_its_outlines_and_an_empty_picture_does_not() -> None:
    scene = control.sample(desk().rng("control", 0), control.MIX)
    real = rendered(scene)
    right, wrong = (Seen((name, "ring"), "day", "plain") for name in (scene.objects[0], "key"))
    found = control.values(real, real, np.zeros_like(real), [wrong, right, wrong], scene)
    assert found == {F1: 1.0, F1_FREE: 0.0, SEEN_REAL: 0.0, SEEN: 1.0, SEEN_FREE: 0.0}


@needs_font
def test_both_pictures_begin_with_the_same_noise_and_one_is_steered() -> None:
    (case,) = control.cases(desk(), 1)
    scene, hint, steered, free = (one.pixels for one in case.pictures)
    assert set(np.unique(hint)) == {0, 255}
    assert (steered != free).mean() > 0.1
    assert (steered != scene).mean() > 0.1
    assert 0 <= case.values[F1_FREE] <= 1
    assert "small" not in case.title
    assert "big" not in case.title


@needs_font
def test_a_model_that_it_does_not_fit_is_refused_first() -> None:
    with pytest.raises(RecipeError, match="control"):
        control.check(tiny_desk())
    control.check(desk())
