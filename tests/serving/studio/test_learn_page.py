"""What the tab Learn shows: everything a slider needs is there, one place is to be seen, nothing can act."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from sfumato.engine.attention import WordMap
from sfumato.engine.compass import Bearing
from sfumato.engine.trace import TraceRow
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.serving.studio.learn_drawing import Drawn, Frame, Spoken, Token
from sfumato.serving.studio.learn_page import (
    about,
    begun_of,
    compared_of,
    heat_of,
    lesson_of,
    mixed_of,
    nothing_yet,
    schedule_of,
)
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_bundle

EVIL = "<img src=x onerror=alert(1)>"
WORDS = words_of(Look())


def resolved(**fields: Any) -> Resolved:
    recipe = Recipe(parts=(TextPart(prompt=EVIL),), **{"seed": 7, "steps": 4, "guidance": 2.0, **fields})
    return resolve(recipe, tiny_bundle().defaults)


def picture(level: int) -> Any:
    return np.full((16, 24, 3), level, np.uint8)


def frame(step: int, steps: int = 4) -> Frame:
    row = TraceRow(
        index=0,
        step=step,
        num_steps=steps,
        sigma=10.0 / (step + 1),
        sigma_next=5.0 / (step + 1) if step + 1 < steps else 0.0,
        t=999.0 - step,
        seconds=0.1,
        mean=(0.0, 0.1),
        variance=(1.0, 0.5),
        entropy=1.4,
        entropy_joint=None,
        x0_std=0.5,
        inflation=None,
        clipped=0.0,
        not_finite=0,
    )
    bearing = Bearing(row.sigma, 3.0, 4.0, 5.0, 60.0 - step)
    return Frame(picture(step), picture(9), picture(100 + step), row, bearing)


def drawn(steps: int = 4, **changes: Any) -> Drawn:
    tokens = (Token("start", 1, 1.0, 2.0), Token(EVIL, 2, 1.5, 2.5), Token("end", 3, 1.0, 2.0))
    spoken = Spoken(tokens, 1, 13, 32)
    frames = tuple(frame(step, steps) for step in range(steps))
    made = Drawn(resolved(steps=steps), "torch", picture(200), frames, spoken)
    return replace(made, **changes)


class Seen(HTMLParser):
    """Counts elements, and which of those that a slider switches are to be seen."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.text = ""
        self.inputs: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        assert not [name for name in told if name.startswith("on")]
        assert tag not in ("script", "iframe", "a", "link")
        if tag == "img":
            self.images.append(told)
        if tag == "input":
            self.inputs.append(told)
        if "data-step" in told:
            (self.hidden if "hidden" in told else self.visible).append(told["data-step"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_lesson_begins_with_the_first_step_and_holds_all() -> None:
    seen = Seen(lesson_of(drawn(), WORDS))
    assert {*seen.visible} == {"0"}
    assert {*seen.hidden} == {"1", "2", "3"}
    assert len(seen.hidden) == 3 * len(seen.visible)
    assert len(seen.images) == 3 * 4 + 1
    assert all((one["src"] or "").startswith("data:image/") for one in seen.images)
    (slider,) = seen.inputs
    assert (slider["type"], slider["max"], slider["aria-valuetext"]) == ("range", "3", "step 1 of 4")
    assert slider["value"] == "0"
    assert EVIL in seen.text  # as text
    assert "4 steps of DDIM, guidance 2, seed 7" in seen.text
    assert "3 pieces, 13 places of padding" in seen.text
    assert "16 places becomes a vector of 32 numbers" in seen.text
    assert "57.0° between with and without" in seen.text


def test_a_lesson_of_one_step_and_one_without_numbers() -> None:
    assert {*Seen(lesson_of(drawn(1), WORDS)).visible} == {"0"}
    one = drawn(2)
    bare = tuple(
        replace(frame, row=replace(frame.row, variance=(), entropy=None), bearing=None)
        for frame in one.frames
    )
    text = Seen(lesson_of(replace(one, frames=bare), WORDS)).text
    assert WORDS("learn_no_arrows") in text
    assert WORDS("learn_variance") not in text
    assert Seen(lesson_of(replace(one, frames=(), spoken=None), WORDS)).images == []


def test_before_anything_was_drawn() -> None:
    seen = Seen(nothing_yet(WORDS))
    assert seen.images == []
    assert all(WORDS(name) in seen.text for name in ("learn_words", "learn_steps", "learn_arrows"))


def test_a_picture_that_was_begun_with() -> None:
    seen = Seen(begun_of(picture(1), drawn(), WORDS))
    assert len(seen.images) == 3 + 2 * 4
    nothing = Seen(begun_of(picture(1), drawn(frames=()), WORDS))
    assert len(nothing.images) == 3
    assert nothing.inputs == []


def test_a_mix_shows_the_middle() -> None:
    seen = Seen(mixed_of([picture(level) for level in range(5)], (0, 0.25, 0.5, 0.75, 1), ("a", EVIL), WORDS))
    assert {*seen.visible} == {"2"}
    assert (seen.inputs[0]["value"], seen.inputs[0]["aria-valuetext"]) == ("2", f"50 % of “{EVIL}”")
    alts = [one["alt"] for one in seen.images]
    assert (alts[0], alts[4], alts[-1]) == ("a", f"75 % of “{EVIL}”", EVIL)


def test_heat_of_words() -> None:
    maps = tuple(
        WordMap(word, np.full((2, 3), share, np.float32)) for word, share in ((EVIL, 0.1), ("frog", 0.05))
    )
    seen = Seen(heat_of(drawn(words=maps), WORDS))
    assert len(seen.images) == 3
    assert {*seen.visible} == {"0"}
    assert "frog: 30.0 % of the attention" in seen.text


def test_two_side_by_side() -> None:
    few, many = drawn(2), drawn(5)
    seen = Seen(compared_of((few, many), (EVIL, "five"), WORDS))
    assert seen.inputs[0]["max"] == "4"
    assert len(seen.images) == 2 * (1 + 5)
    assert "differ by 0.0 of 255" in seen.text
    other = replace(many, pixels=np.zeros((8, 8, 3), np.uint8))
    assert "differ" not in Seen(compared_of((few, other), ("a", "b"), WORDS)).text


def test_the_schedule_with_and_without_zero_terminal_snr() -> None:
    seen = Seen(schedule_of(WORDS))
    assert (seen.visible, seen.hidden) == (["1"], ["0"])
    assert "checked" in seen.inputs[0]
    # Table 1 of Lin et al. 2023: what is left of the picture, and the signal to noise ratio.
    assert "factor of 0.0683" in seen.text
    assert "signal to noise 0.0047" in seen.text
    assert seen.text.count("timestep") >= 4  # along both plots, in both states


@pytest.mark.parametrize("name", ["learn_heat", "learn_compare", "learn_begin", "learn_mix"])
def test_every_claim_has_a_source(name: str) -> None:
    assert "Source: " in Seen(about(WORDS, name)).text
