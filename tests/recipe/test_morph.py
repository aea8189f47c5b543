"""The frames of a morph as recipes: where they lie, what they are made of, and how long they are shown."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recipe.strategies import DEFAULTS, SOURCES
from sfumato.errors import RecipeError
from sfumato.recipe.codec import from_json, to_json
from sfumato.recipe.image import Recipe
from sfumato.recipe.morph import (
    Morph,
    check_pace,
    durations_of,
    eased,
    frames_of,
    seeds_of,
    usual_frames,
)
from sfumato.recipe.parts import ImagePart, MixPart, MixPrompt, TextPart, VariationPart
from sfumato.recipe.resolve import resolve

ANIMALS = ("a frog", "a rabbit", "an owl")
MIX = MixPart(prompts=(MixPrompt(prompt="a tree", ratio=1),))


def morph(**fields: Any) -> Morph:
    return Morph(**{"prompts": ANIMALS, "frames": 9, **fields})


def test_frames_are_spread_over_the_ways() -> None:
    assert morph().places == (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2)
    assert morph(frames=6, loop=True).places == (0, 0.5, 1, 1.5, 2, 2.5)
    assert morph(frames=4).places == (0, 0.5, 1, 2)
    assert morph(frames=3).places == (0, 1, 2)


@given(st.integers(2, 5), st.integers(0, 60), st.booleans())
def test_every_stop_has_a_frame(stops: int, more: int, loop: bool) -> None:
    one = Morph(seeds=tuple(range(stops)), frames=stops + more, loop=loop)
    assert len(one.places) == stops + more
    assert [place for place in one.places if place == int(place)] == list(range(stops))
    assert all(a < b for a, b in pairwise(one.places))


def test_between_prompts_frames_are_mixes() -> None:
    base = Recipe(seed=7, steps=3, parts=(TextPart(prompt="", negative="snow"),))
    frames = frames_of(morph(mode="embeddings"), base)
    assert frames[0].parts == (TextPart(prompt="a frog", negative="snow"),)
    assert frames[4].text == TextPart(prompt="a rabbit", negative="snow")
    assert frames[4].mix is None
    share = eased(0.25)
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=share),), ratio=1 - share, mode="embeddings")
    assert frames[1].mix == mix
    assert {(frame.seed, frame.steps) for frame in frames} == {(7, 3)}


def test_between_seeds_frames_are_variations() -> None:
    base = Recipe(parts=(TextPart(prompt="a frog"),))
    frames = frames_of(Morph(seeds=(1, 2), frames=3, loop=False), base)
    assert [frame.seed for frame in frames] == [1, 1, 2]
    assert [frame.variation for frame in frames] == [None, VariationPart(strength=0.5, seed=2), None]
    assert all(frame.text == base.text and frame.mix is None for frame in frames)


def test_prompts_and_seeds_go_together_and_return() -> None:
    one = Morph(prompts=("a frog", "a rabbit"), seeds=(1, 2), frames=4, loop=True)
    frames = frames_of(one, Recipe(parts=(ImagePart(source="cat.png"),)))
    assert [frame.seed for frame in frames] == [1, 1, 2, 2]
    last = frames[3]
    assert (last.text, last.image) == (TextPart(prompt="a rabbit"), ImagePart(source="cat.png"))
    assert last.mix == MixPart(prompts=(MixPrompt(prompt="a frog", ratio=0.5),), ratio=0.5, mode=one.mode)
    assert last.variation == VariationPart(strength=0.5, seed=1)


def test_every_frame_can_be_drawn() -> None:
    one = Morph(prompts=ANIMALS, seeds=(1, 2, 3), frames=200)
    for frame in frames_of(one, Recipe()):
        resolve(frame, DEFAULTS, sources=SOURCES)


def test_what_does_not_change_is_no_part() -> None:
    one = Morph(prompts=("a frog", "a frog"), frames=5)
    assert {frame.parts for frame in frames_of(one, Recipe(seed=1))} == {(TextPart(prompt="a frog"),)}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompts": ("a frog",)}, "two prompts or two seeds"),
        ({"prompts": (), "seeds": (3,)}, "two prompts or two seeds"),
        ({"seeds": (1, 2)}, "3 prompts and 2 seeds"),
        ({"frames": 2}, "2 frames are fewer than the 3 stops"),
        ({"frames": 1}, "greater than or equal to 2"),
        ({"mode": "average"}, "branches"),
        ({"sneeds": (1, 2)}, "Extra inputs"),
    ],
)
def test_what_is_no_morph(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        morph(**fields)


@pytest.mark.parametrize(
    ("one", "base", "words"),
    [
        (morph(), Recipe(seed=1, count=2), "count: a morph has one picture a frame"),
        (morph(), Recipe(), "seed: is missing"),
        (
            morph(),
            Recipe(seed=1, parts=(MixPart(prompts=(MixPrompt(prompt="a", ratio=1),)),)),
            "mix: is what",
        ),
        (Morph(seeds=(1, 2)), Recipe(parts=(VariationPart(strength=0.5),)), "variation: is what a morph"),
    ],
)
def test_what_is_in_the_way_is_refused(one: Morph, base: Recipe, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        frames_of(one, base)


def test_stops_are_held() -> None:
    one = morph(frames=5)
    assert durations_of(one, fps=10, hold=0.5) == (600, 100, 600, 100, 600)
    assert durations_of(one, fps=50, hold=0) == (20,) * 5


@given(st.integers(3, 100), st.floats(0.5, 45), st.floats(0, 3))
def test_durations_sum_up_and_suit_a_gif(frames: int, fps: float, hold: float) -> None:
    times = durations_of(morph(frames=frames), fps=fps, hold=hold)
    assert all(time % 10 == 0 and time >= 20 for time in times)
    assert sum(times) == pytest.approx(1000 * (frames / fps + 3 * hold), abs=11)


def test_it_can_be_kept() -> None:
    one = morph(seeds=(4,), loop=True)
    assert from_json(to_json(one), Morph) == one
    with pytest.raises(RecipeError, match="version"):
        from_json('{"version": 9, "prompts": ["a", "b"]}', Morph)


def test_seeds_are_numbers_and_ranges() -> None:
    assert seeds_of("3, 1..3,7") == (3, 1, 2, 3, 7)
    for text, reason in (("1,,2", "whole number"), ("3..1", "no range"), ("1..5000", "no range")):
        with pytest.raises(RecipeError, match=f"seeds: .*{reason}"):
            seeds_of(text)
    with pytest.raises(RecipeError, match="seeds: are more than a film has frames"):
        seeds_of(",".join(["1..1000"] * 100_000))


def test_nobody_has_to_say_how_many_frames() -> None:
    assert [usual_frames(stops, loop=loop) for stops in (2, 3) for loop in (False, True)] == [13, 24, 25, 36]


@pytest.mark.parametrize(
    ("fps", "hold"), [(0.0, 0.5), (51.0, 0.5), (float("nan"), 0.5), (12.0, -1.0), (12.0, 61.0)]
)
def test_what_cannot_be_shown_is_refused(fps: float, hold: float) -> None:
    check_pace(50.0, 60.0)
    with pytest.raises(RecipeError, match="cannot be"):
        check_pace(fps, hold)
