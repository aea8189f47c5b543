import numpy as np
import pytest

from sfumato.evaluation.judging import Answer, answers
from sfumato.models.judge import Verdict
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene


def _verdict(
    objects: tuple[str, ...], background: str = "white", time: str = "day", style: str = "plain"
) -> Verdict:
    """A judge's verdict on two pictures: noise in row 0, and in row 1 what is named, likeliest first."""
    rng = np.random.default_rng(0)

    def logits(names: tuple[str, ...], seen: tuple[str, ...]) -> np.ndarray:
        rows = rng.normal(size=(2, len(names))).astype(np.float32)
        for place, name in enumerate(seen):
            rows[1, names.index(name)] = 20 - place
        return rows

    return Verdict(
        objects=logits(words.OBJECT_NAMES, objects),
        background=logits(words.BACKGROUNDS, (background,)),
        time=logits(tuple(words.TIMES), (time,)),
        style=logits(words.STYLE_NAMES, (style,)),
        features=np.zeros((2, 4), np.float32),
    )


def test_a_single_object_is_right_when_it_is_the_likeliest() -> None:
    scene = Scene(("frog",), "beach", "night", "oil painting")
    found = answers(scene, _verdict(("frog", "rabbit"), "beach", "sunset", "oil painting"), 1)
    assert found == (
        Answer("object", "frog", "frog"),
        Answer("background", "beach", "beach"),
        Answer("time", "night", "sunset"),
        Answer("style", "oil painting", "oil painting"),
    )
    assert [answer.right for answer in found] == [True, True, False, True]
    assert not answers(scene, _verdict(("rabbit", "frog"), "beach"), 1)[0].right


def test_a_pair_is_right_when_both_are_the_two_likeliest_in_any_order() -> None:
    scene = Scene(("frog", "rabbit"), relation="next to")
    for seen in (("frog", "rabbit"), ("rabbit", "frog", "owl")):
        (found,) = answers(scene, _verdict(seen), 1)
        assert found.question == "both objects"
        assert found.right
    (wrong,) = answers(scene, _verdict(("frog", "owl", "rabbit")), 1)
    assert (wrong.right, wrong.seen) == (False, "frog + owl")


@pytest.mark.parametrize(
    ("scene", "questions"),
    [
        (Scene(("owl",), "red"), ["object", "background", "style"]),
        (Scene(("owl",), "space"), ["object", "background", "style"]),
        (Scene(("owl",), "city"), ["object", "background", "time", "style"]),
        (Scene(("owl",), "city", style="pencil sketch"), ["object", "style"]),
        (Scene(("owl",), "red", style="black and white"), ["object", "style"]),
    ],
)
def test_only_what_a_picture_can_show_is_asked(scene: Scene, questions: list[str]) -> None:
    assert [answer.question for answer in answers(scene, _verdict(("owl",)))] == questions
