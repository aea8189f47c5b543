from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from judged import needs_font
from sfumato.scenes import vocabulary as words
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import (
    Scene,
    SceneMix,
    caption,
    example,
    held_out,
    one_of,
    render,
    sample,
    stream_rng,
)

MIX = SceneMix()
FROG = Scene(("frog",))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = default_rng(0)
    return [sample(rng, MIX) for _ in range(4000)]


def test_no_sampled_scene_is_held_out(scenes: list[Scene]) -> None:
    assert not any(held_out(scene) for scene in scenes)


def test_one_of_draws_as_numpys_choice_does() -> None:
    """So that the scenes of a seed stay what they were when they were drawn with that."""
    ours, theirs = default_rng(1), default_rng(1)
    for options in [words.STYLE_NAMES, words.OBJECT_NAMES, ("small", "big")] * 50:
        assert one_of(options, ours) == theirs.choice(options)


def test_about_one_combination_in_ten_is_held_out() -> None:
    names = words.OBJECT_NAMES
    places = [held_out(Scene((a,), b)) for a in names for b in words.BACKGROUNDS if b != "white"]
    styles = [held_out(Scene((a,), style=style)) for a in names for style in words.STYLE_NAMES[1:]]
    pairs = [held_out(Scene((a, b))) for a in names for b in names if a < b]
    for share in (np.mean(places), np.mean(styles), np.mean(pairs)):
        assert 0.09 < share < 0.13


def test_held_out_is_decided_by_the_combination_alone() -> None:
    """Neither phrasing, time, size, count nor order matters."""
    assert not any(held_out(Scene((name,))) for name in words.OBJECT_NAMES)
    for name in words.OBJECT_NAMES[:40]:
        scene = Scene((name,), "beach")
        for other in (replace(scene, time="night"), replace(scene, size="big"), replace(scene, count=3)):
            assert held_out(other) == held_out(scene)
        assert held_out(Scene((name, "owl"))) == held_out(Scene(("owl", name)))
        if held_out(scene):
            assert held_out(Scene((name, "owl"), "beach"))
            assert held_out(Scene(("owl", name), "beach"))


def test_every_object_is_trained_on_most_backgrounds_and_styles() -> None:
    for name in words.OBJECT_NAMES:
        seen = sum(not held_out(Scene((name,), background)) for background in words.BACKGROUNDS)
        assert seen >= 12, name
        assert any(not held_out(Scene((name,), style=style)) for style in words.STYLE_NAMES[1:]), name


def test_the_mix_decides_how_often_each_kind_of_scene_is_drawn(scenes: list[Scene]) -> None:
    """Held-out scenes are drawn again, pairs most often, so shares are a little off."""
    share = {
        "pairs": np.mean([len(scene.objects) == 2 for scene in scenes]),
        "counts": np.mean([scene.count > 1 for scene in scenes]),
        "sizes": np.mean([scene.size != "normal" for scene in scenes]),
        "unsaid_background": np.mean([not scene.said for scene in scenes]),
        "styled": np.mean([scene.style != "plain" for scene in scenes]),
    }
    for name, found in share.items():
        assert found == pytest.approx(vars(MIX)[name], abs=0.06), name


def test_sampled_scenes_make_sense(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert (scene.relation is not None) == (len(scene.objects) == 2)
        assert len(set(scene.objects)) == len(scene.objects)
        assert scene.time == "day" or scene.background in words.TIMED_PLACES
        assert scene.said or scene.background == "white"
        assert scene.relation != "riding" or scene.objects[1] in words.MOUNTS
    assert {scene.objects[0] for scene in scenes} == set(words.OBJECT_NAMES)
    assert {scene.background for scene in scenes} == set(words.BACKGROUNDS)
    assert {scene.style for scene in scenes} == set(words.STYLE_NAMES)


def test_a_mix_without_variety_is_single_objects_only() -> None:
    plain = SceneMix(0, 0, 0, 1, 0, 0, 0)
    rng = default_rng(1)
    for scene in (sample(rng, plain) for _ in range(100)):
        assert scene == Scene(scene.objects, scene.background)
        assert scene.background in words.COLOURS


def test_hybrids_are_drawn_when_asked_for(scenes: list[Scene]) -> None:
    assert not any(scene.relation == words.MIXED for scene in scenes)
    drawn = [sample(default_rng(i), SceneMix(mixes=0.3)) for i in range(2000)]
    mixed = [one for one in drawn if one.relation == words.MIXED]
    assert 0.2 < len(mixed) / len(drawn) < 0.35
    assert not any(held_out(one) for one in mixed)
    assert all(0.25 <= one.share <= 0.75 and len(set(one.objects)) == 2 for one in mixed)
    assert 0.4 < np.mean([one.share == 0.5 for one in mixed]) < 0.6


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (replace(FROG, said=False), "a frog"),
        (Scene(("frog", "owl"), "beach", relation=words.MIXED), "a frog mixed with an owl on a beach"),
        (FROG, "a frog on a white background"),
        (replace(FROG, background="orange"), "a frog on an orange background"),
        (Scene(("owl",), "forest", "night"), "an owl in a forest at night"),
        (Scene(("astronaut", "horse"), "beach", relation="riding"), "an astronaut riding a horse on a beach"),
        (replace(FROG, background="space", count=3), "three frogs in space"),
        (Scene(("mouse",), count=2, said=False), "two mice"),
        (replace(FROG, size="big", background="snow"), "a big frog in the snow"),
        (Scene(("grapes",), "city", "sunset"), "grapes in a city at sunset"),
        (Scene(("rose",), style="watercolour", said=False), "watercolour of a rose"),
        (
            Scene(("dog", "cat"), "sea", style="black and white", relation="left of"),
            "black and white photo of a dog to the left of a cat in the sea",
        ),
    ],
)
def test_captions_without_a_generator_are_the_plainest(scene: Scene, text: str) -> None:
    assert caption(scene) == text


@given(st.integers(0, 2**32 - 1))
def test_captions_say_what_the_scene_shows(seed: int) -> None:
    rng = default_rng(seed)
    scene = sample(rng, MIX)
    text = caption(scene, rng)
    assert text == " ".join(text.split())
    assert text == text.lower()
    for name in scene.objects:
        thing = next(thing for thing in words.OBJECTS if thing.name == name)
        names = [*(words.plural(one) for one in (name, *thing.synonyms)), name, *thing.synonyms]
        assert any(one in text for one in names)
    ground = (scene.background,) if scene.background in words.COLOURS else words.PLACES[scene.background]
    if scene.said:
        assert any(phrase in text for phrase in ground)
        assert any(phrase in text for phrase in words.TIMES[scene.time])
    if scene.style != "plain":
        pieces = [phrase.replace("{}", "").strip(" ,") for phrase in words.STYLES[scene.style]]
        assert any(piece in text for piece in pieces)


def test_a_scene_is_said_in_several_ways() -> None:
    scene = Scene(("rabbit", "horse"), "meadow", "sunset", "pencil sketch", "riding")
    said = Counter(caption(scene, default_rng(seed)) for seed in range(200))
    assert len(said) > 30
    assert any("bunny" in text for text in said)


def test_examples_of_a_stream_are_independent_of_each_other() -> None:
    draws = {(seed, index): stream_rng(seed, index).random(3).tolist() for seed in (1, 2) for index in (0, 1)}
    assert len({str(value) for value in draws.values()}) == 4
    assert stream_rng(1, 1).random(3).tolist() == draws[1, 1]


@needs_font
def test_an_example_is_a_pure_function_of_seed_and_index() -> None:
    font = find_font()
    examples = [example(7, index, MIX, font) for index in range(6)]
    for index in reversed(range(6)):  # in another order, to the last bit
        picture, text, scene = example(7, index, MIX, font)
        assert (text, scene) == examples[index][1:]
        assert picture.tobytes() == examples[index][0].tobytes()
    assert example(8, 0, MIX, font)[0].tobytes() != examples[0][0].tobytes()


@needs_font
@pytest.mark.parametrize("size", [64, 128])
def test_renders_have_the_size_asked_for_and_vary_with_the_generator(size: int) -> None:
    scene = Scene(("frog", "tree"), "beach", relation="next to")
    first, second = (render(scene, default_rng(seed), find_font(), size) for seed in (0, 1))
    assert first.size == second.size == (size, size)
    assert first.mode == "RGB"
    assert first.tobytes() != second.tobytes()


@needs_font
def test_small_and_large_renders_show_the_same_scene() -> None:
    scene = Scene(("frog",), "red")
    small, large = (render(scene, default_rng(3), find_font(), size) for size in (64, 128))
    gap = np.abs(np.asarray(large.reduce(2), np.float32) - np.asarray(small, np.float32)).mean()
    assert gap < 6


@needs_font
def test_a_hybrid_is_one_thing_with_parts_of_two() -> None:
    """Red above and yellow below or the other way round, and about as much of each as its share says."""

    def reddish(share: float, seed: int) -> tuple[float, float]:
        scene = Scene(("heart", "lemon"), relation=words.MIXED, share=share)
        pixels = np.asarray(render(scene, default_rng(seed), find_font()), np.int16)
        rows = _object_rows(scene, seed)
        red = pixels[rows[:, 0], rows[:, 1], 1] < 100
        return float(red.mean()), float(rows[red, 0].mean() - rows[~red, 0].mean())

    found = [reddish(0.5, seed) for seed in range(8)]
    assert all(0.25 < share < 0.75 for share, _ in found)
    assert {higher < 0 for _, higher in found} == {True, False}
    assert np.mean([reddish(0.7, seed)[0] for seed in range(8)]) > 0.15 + np.mean(
        [reddish(0.3, seed)[0] for seed in range(8)]
    )


def _object_rows(scene: Scene, seed: int = 0) -> np.ndarray:
    """Where a render differs from its plain white ground: `(row, column)` pairs."""
    pixels = np.asarray(render(scene, default_rng(seed), find_font()), np.int16)
    return np.argwhere(np.abs(pixels - np.array(words.COLOURS["white"])).max(axis=2) > 8)


@needs_font
@pytest.mark.parametrize("name", ["frog", "pencil", "tower", "house", "skull", "blue car"])
@pytest.mark.parametrize("seed", range(3))
def test_single_objects_stand_whole_in_the_picture(name: str, seed: int) -> None:
    for size in words.SIZES:
        where = _object_rows(Scene((name,), size=size), seed)
        assert where.min() >= 1
        assert where.max() <= 126


@needs_font
def test_sizes_differ() -> None:
    areas = [len(_object_rows(Scene(("frog",), size=size))) for size in ("small", "normal", "big")]
    assert areas[0] * 1.6 < areas[1] < areas[2] / 1.4


@needs_font
def test_counts_are_as_many_separate_objects() -> None:
    for count in (2, 3):
        columns = np.unique(_object_rows(Scene(("tower",), count=count))[:, 1])
        assert 1 + (np.diff(columns) > 1).sum() == count


@needs_font
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("relation", "axis"), [("left of", 1), ("above", 0), ("on", 0), ("riding", 0)])
def test_relations_put_objects_where_they_say(relation: str, axis: int, seed: int) -> None:
    scene = Scene(("red apple", "blue car"), relation=relation)
    pixels = np.asarray(render(scene, default_rng(seed), find_font()), np.int16)
    apple = np.argwhere(pixels[..., 0] > pixels[..., 2] + 100)[:, axis].mean()
    car = np.argwhere(pixels[..., 2] > pixels[..., 0] + 100)[:, axis].mean()
    assert apple < car - 12
