import numpy as np
import pytest

from edit_desk import desk
from judged import needs_font
from sfumato.evaluation.edits import attention
from sfumato.evaluation.edits.attention import BACKGROUND, COLOUR, DENSE, OBJECT, ON
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import held_out


def square() -> np.ndarray:
    mask = np.zeros((128, 128), bool)
    mask[32:64, 32:64] = True
    return mask


def test_even_heat_is_as_dense_as_chance_and_heat_inside_is_denser() -> None:
    heat = np.ones((16, 16), np.float32)
    assert attention.density(heat, square()) == pytest.approx(1)
    heat[4:8, 4:8] = 3
    assert attention.density(heat, square()) == pytest.approx(3 / (1 + 2 / 16))
    assert attention.density(1 - square()[::8, ::8].astype(np.float32), square()) == 0
    assert attention.density(heat, np.zeros((128, 128), bool)) == 0


def test_two_times_is_dense_enough_and_less_is_not() -> None:
    even, inside = np.ones((16, 16), np.float32), square()[::8, ::8].astype(np.float32)
    maps = {"tree": inside, "on": even, "blue": even, "background": 1 - inside}
    found = attention.values(maps, square(), "palm tree", "blue")
    assert found == {OBJECT: pytest.approx(16), ON: 1.0, COLOUR: 1.0, BACKGROUND: 0.0, DENSE: 1.0}
    assert attention.values({**maps, "tree": even}, square(), "palm tree", "blue")[DENSE] == 0.0


def test_the_object_is_what_differs_from_the_border() -> None:
    picture = np.full((128, 128, 3), (52, 116, 200), np.uint8)
    picture[square()] = (52, 160, 200)
    picture[100:110, 100:110] = (60, 110, 190)  # a smudge
    np.testing.assert_array_equal(attention.object_mask(picture), square())


def test_every_object_has_a_word_and_a_colour_that_training_showed() -> None:
    for number, name in enumerate(words.OBJECT_NAMES):
        scene = attention.scene_of(name, number)
        assert scene.background in attention.BACKGROUNDS
        assert not held_out(scene)
        assert attention.head(name) in name.split()
    assert attention.head("cup of coffee") == "cup"


@needs_font
def test_maps_are_measured_with_torch_whatever_draws_the_rest() -> None:
    attention.check(desk())
    (case,) = attention.cases(desk(), 1)
    assert set(case.values) == {OBJECT, ON, COLOUR, BACKGROUND, DENSE}
    assert case.values[OBJECT] > 0
    assert len({one.pixels.shape for one in case.pictures}) == 1
