"""Drawings of the tab Learn are read as they were written, and what cannot be is refused."""

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sfumato.engine.attention import WordMap
from sfumato.engine.compass import Bearing
from sfumato.engine.trace import TraceRow
from sfumato.imaging.io import encode_picture
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.serving.studio.learn_codec import BLANK, Picture, drawn_of, told_of
from sfumato.serving.studio.learn_drawing import Drawn, Frame, Spoken, Token
from sfumato.serving.studio.learn_kept import UNREADABLE
from tiny_models import tiny_bundle

ALL: tuple[Picture, ...] = ("pixels", "noisy", "channels", "clean")


def noise(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)


def drawn() -> Drawn:
    row = TraceRow(0, 1, 3, 10.0, 5.0, 900.0, 0.1, (0.0, 0.1), (1.0, 0.5), 1.4, None, 0.5, None, 0.0, 0)
    frame = Frame(noise(1), noise(2), noise(3), row, Bearing(10.0, 1.0, 2.0, 3.0, 40.0))
    spoken = Spoken((Token("start", 1, 1.0, 2.0), Token("frog", 2, 1.5, 2.5)), 1, 14, 32)
    words = (WordMap("frog", np.array([[0.25, 0.5], [0.125, 0.125]], np.float32)),)
    recipe = Recipe(parts=(TextPart(prompt="a frog"),), seed=7, steps=3)
    resolved = resolve(recipe, tiny_bundle().defaults)
    return Drawn(resolved, "torch", noise(4), (frame, replace(frame, bearing=None)), spoken, words)


def again(pictures: tuple[Picture, ...]) -> Drawn:
    return drawn_of(json.loads(json.dumps(told_of(drawn(), pictures))))


def test_it_is_read_as_it_was() -> None:
    first, second = drawn(), again(ALL)
    assert (first.resolved, first.backend, first.spoken) == (second.resolved, second.backend, second.spoken)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    for one, other in zip(first.frames, second.frames, strict=True):
        assert (one.row, one.bearing) == (other.row, other.bearing)
        for name in ALL[1:]:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    ((word, heat),) = [(one.word, one.heat) for one in second.words]
    assert (word, heat.dtype) == ("frog", np.float32)
    np.testing.assert_array_equal(heat, first.words[0].heat)


def test_only_what_is_asked_for_is_kept() -> None:
    some = again(("clean",))
    np.testing.assert_array_equal(some.frames[0].clean, noise(3))
    for picture in (some.pixels, some.frames[0].noisy, some.frames[0].channels):
        np.testing.assert_array_equal(picture, BLANK)
    assert again(("pixels",)).frames == ()


PNG = base64.b64encode(encode_picture(BLANK, ".png")).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": "???"},
        {"pixels": base64.b64encode(b"GIF89a").decode()},
        {"pixels": PNG[:40]},
        {"pixels": 3},
        {"words": [{"word": "frog", "heat": [1.0]}]},
        {"words": [{"word": "frog", "heat": [[1.0, None]]}]},
        {"words": [{"word": "frog", "heat": [[]]}]},
        {"frames": [{}]},
        {"frames": {"row": 1}},
        {"spoken": {"tokens": [{}]}},
        {"resolved": "{}"},
    ],
)
def test_what_was_never_written_is_refused(change: dict[str, Any]) -> None:
    told = json.loads(json.dumps(told_of(drawn(), ALL)))
    with pytest.raises(UNREADABLE):
        drawn_of({**told, **change})
