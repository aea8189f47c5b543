import numpy as np

from sfumato.evaluation.edits.scenes import Look, changed, known_pair, pair, replaced, single
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import held_out


def test_pairs_are_known_or_not_as_asked() -> None:
    rng = np.random.default_rng(1)
    for never in (False, True):
        scenes = [known_pair(rng, never_trained=never) for _ in range(30)]
        assert {held_out(scene) for scene in scenes} == {never}
        assert {scene.background for scene in scenes} == {"white"}
        assert all(len(set(scene.objects)) == 2 for scene in scenes)


def test_a_replaced_object_is_a_third_one_and_nothing_is_held_out() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        scene, after = replaced(rng)
        assert scene.objects[1] == after.objects[1]
        assert len({*scene.objects, *after.objects}) == 3
        assert scene.background == after.background
        assert not held_out(scene)
        assert not held_out(after)


def test_a_change_changes_time_and_style_alone() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        before, after = changed(rng, Look(style="pencil sketch"), Look(time="night"))
        assert (before.time, before.style) == ("day", "pencil sketch")
        assert (after.time, after.style) == ("night", "plain")
        assert (before.objects, before.background) == (after.objects, after.background)
        assert not held_out(before)
        assert not held_out(after)


def test_scenes_are_of_every_kind() -> None:
    rng = np.random.default_rng(4)
    singles = [single(rng) for _ in range(200)]
    assert {scene.background for scene in singles} == set(words.TIMED_PLACES)
    assert len({scene.objects for scene in singles}) > 80
    assert len({pair(rng).background for _ in range(100)}) == 4
