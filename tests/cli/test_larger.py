"""Options about larger pictures, over a recipe; and such pictures from the command line to the file."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from complaints import complaint
from sfumato.cli.flags import Flags
from sfumato.cli.larger import with_larger
from sfumato.cli.recipes import read_resolved, with_flags
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart

FROG = Recipe(parts=(TextPart(prompt="a frog"),))
TWICE = HiresPart(scale=2.0, strength=0.3, passes=1, window=96, overlap=0.25)
LARGE = Recipe(parts=(TextPart(prompt="a frog"), TWICE))


def test_nothing_asked_changes_nothing() -> None:
    assert with_larger({}, Flags()) == {}
    assert with_flags(LARGE, Flags()) == LARGE


def test_every_flag_lands_in_its_field() -> None:
    flags = Flags(
        hires="4",
        hires_strength="0.25",
        hires_method=" Latent ",
        hires_steps="9",
        hires_passes="1",
        hires_keep="0.5",
        windows="96",
        window_overlap="0.125",
    )
    made = with_flags(FROG, flags)
    assert made.windows == WindowsPart(size=96, overlap=0.125)
    assert made.hires == HiresPart(
        scale=4.0, strength=0.25, method="latent", steps=9, passes=1, keep=0.5, overlap=0.125
    )
    assert made.text == FROG.text


def test_what_is_not_asked_stays_and_one_and_off_take_it_away() -> None:
    assert with_flags(LARGE, Flags(hires_strength="0.1")).hires == TWICE.model_copy(update={"strength": 0.1})
    assert with_flags(LARGE, Flags(hires="3x")).hires == TWICE.model_copy(
        update={"scale": 3.0, "passes": None}
    )
    assert with_flags(LARGE, Flags(hires="1")) == FROG
    assert with_flags(with_flags(FROG, Flags(windows="auto")), Flags(windows="off")) == FROG
    other = with_flags(LARGE, Flags(windows="auto"))
    assert other.windows == WindowsPart()
    assert other.hires == TWICE.model_copy(update={"window": None, "overlap": None})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"hires": "two"}, "hires: must be a number"),
        ({"hires": "0.5"}, "hires: must be above 1"),
        ({"hires": "17"}, "hires: must be at most 16"),
        ({"hires_strength": "0.5"}, "hires-strength: nothing is drawn again"),
        ({"hires": "2", "hires_strength": "1.5"}, "hires-strength: must be at most 1"),
        ({"hires": "2", "hires_method": "lanczoz"}, "Did you mean lanczos?"),
        ({"hires": "2", "hires_passes": "5"}, "hires-passes: must be at most 4"),
        ({"hires": "2", "hires_steps": "0"}, "hires-steps: must be at least 1"),
        ({"hires": "2", "hires_keep": "-1"}, "hires-keep: must be at least 0"),
        ({"windows": "big"}, "windows: must be a whole number"),
        ({"windows": "0"}, "windows: must be at least 1"),
        ({"windows": "auto", "window_overlap": "0.9"}, "window-overlap: must be at most 0.75"),
        ({"window_overlap": "0.5"}, "window-overlap: there are no windows"),
    ],
)
def test_mistakes_are_one_line_that_names_the_option(asked: dict[str, str], said: str) -> None:
    assert said in complaint(FROG, **asked)


SMALL = "generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "4"


def test_a_larger_picture_is_drawn_verified_and_drawn_again(sfumato: Any, here: Any) -> None:
    ran = sfumato(*SMALL, "--hires", "2", "--hires-strength", "0.5", "--window-overlap", "0", "-o", "a.png")
    assert ran.code == 0, ran.err
    with Image.open("a.png") as image:
        assert image.size == (128, 128)
    hires = read_resolved(here / "a.png").hires
    assert hires is not None
    assert (hires.sizes, hires.strength, hires.overlap) == (((128, 128),), 0.5, 0.0)
    assert "identical" in sfumato("verify", "a.png").out
    assert "128x128; learned, strength 0.5: 2 of 4 steps each" in sfumato("show", "a.png").out
    assert sfumato("redo", "a.png", "-o", "b.png").code == 0
    with Image.open("a.png") as one, Image.open("b.png") as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert sfumato("redo", "a.png", "--hires", "1", "-o", "c.png").code == 0
    with Image.open("c.png") as image:
        assert image.size == (64, 64)


def test_what_watches_a_drawing_sees_both_passes(sfumato: Any, here: Any) -> None:
    larger = "--hires", "2", "--hires-strength", "0.5", "--window-overlap", "0", "--hires-method", "lanczos"
    ran = sfumato(*SMALL, *larger, "--trace", "t", "--animate", "a.gif", "--preview", "1", "-o", "a.png")
    assert ran.code == 0, ran.err
    steps = sorted(one.name for one in (here / "t").glob("step-*-x0.png"))
    assert steps == [f"step-{number:03d}-x0.png" for number in range(1, 7)]
    with Image.open(here / "t" / "step-006-x0.png") as image:
        assert image.size == (128, 128)
    with Image.open("a.gif") as animation:
        assert animation.size == (128, 128)
        assert getattr(animation, "n_frames", 1) == 7
    assert not list(here.glob("*.preview.png"))


def test_attention_is_that_of_the_first_drawing_and_not_of_windows(sfumato: Any, here: Any, bad: Any) -> None:
    larger = "--hires", "2", "--hires-strength", "0.5", "--window-overlap", "0", "--hires-method", "lanczos"
    assert sfumato(*SMALL, *larger, "--attention", "maps", "-o", "a.png").code == 0
    with Image.open(next((here / "maps").glob("word-*.png"))) as image:
        assert image.size == (128, 128)
    windows = "--windows", "64", "--size", "96", "--attention", "more"
    assert "attention: cannot be seen in windows" in bad(*SMALL, *windows, "-o", "b.png")


def test_what_keeps_a_part_of_a_picture_is_refused(bad: Any, photo: Any) -> None:
    said = bad(*SMALL, "--image", photo, "--mask", "left", "--hires", "2")
    assert "draw one after the other" in said
