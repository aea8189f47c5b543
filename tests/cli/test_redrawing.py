"""`sfumato upscale --redraw`: the recipe it stands for, and the picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.cli.recipes import read_resolved
from sfumato.cli.redrawing import Redraw, recipe_of_redraw
from sfumato.cli.upscaling import Asked
from sfumato.errors import RecipeError
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.parts import ImagePart, TextPart

FROG = Path("frog.png")


def test_it_is_a_recipe_like_any_other() -> None:
    wanted = Redraw("a frog", "sd", "snow", "0.3", "12", "5", "9")
    recipe = recipe_of_redraw(FROG, Asked(factor="2x", method="lanczos"), wanted, (100, 60))
    assert (recipe.width, recipe.height, recipe.steps, recipe.guidance) == (100, 60, 12, 5.0)
    assert (recipe.model, recipe.seed) == ("sd", 9)
    assert recipe.text == TextPart(prompt="a frog", negative="snow")
    assert recipe.image == ImagePart(source="frog.png", strength=0.0)
    assert recipe.windows == WindowsPart()
    assert recipe.hires == HiresPart(scale=2.0, strength=0.3, method="lanczos")


def test_what_is_left_open_is_left_to_the_recipe() -> None:
    recipe = recipe_of_redraw(FROG, Asked(), Redraw("a frog"), (100, 60))
    assert (recipe.model, recipe.seed, recipe.steps, recipe.guidance) == ("bundled", None, None, None)
    assert recipe.hires == HiresPart(scale=4.0, method="learned")


@pytest.mark.parametrize("factor", ["1", "17", "many", "-2"])
def test_a_factor_that_cannot_be(factor: str) -> None:
    with pytest.raises(RecipeError, match="above 1"):
        recipe_of_redraw(FROG, Asked(factor=factor), Redraw("a frog"), (100, 60))


def test_a_picture_comes_out_larger_beside_it(photo: Path, sfumato: Any, here: Path) -> None:
    how = "--redraw", "a frog", "--model", "tiny", "--steps", "4", "--strength", "0.5", "--seed", "3"
    ran = sfumato("upscale", photo, "--factor", "2", "--method", "lanczos", *how)
    assert (ran.code, ran.out) == (0, f"{here / 'photo-2x.png'}\n"), ran.err
    with Image.open(here / "photo-2x.png") as image:
        made = np.asarray(image)
    assert made.shape == (128, 128, 3)
    resolved = read_resolved(here / "photo-2x.png")
    assert resolved.image is not None
    assert resolved.image.strength == 0
    assert "identical" in sfumato("verify", here / "photo-2x.png").out
    assert "no multiple" not in ran.err


def test_another_size_than_the_model_can_draw_is_said(sfumato: Any, here: Path) -> None:
    Image.new("RGB", (85, 64), "green").save(here / "odd.png")
    how = "--redraw", "a frog", "--model", "tiny", "--steps", "1", "--strength", "0"
    ran = sfumato("upscale", "odd.png", "--factor", "2", "--method", "lanczos", *how)
    assert ran.code == 0, ran.err
    assert "odd.png: 85x64 is no multiple of 8; it is drawn at the nearest size that is" in ran.err
    with Image.open(here / "odd-2x.png") as image:
        assert image.size == (176, 128)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--size", "256"), "size: is not possible with --redraw"),
        (("--network", "net"), "network: is not possible with --redraw"),
        (("--prompt", "a frog"), "prompt: is not possible with --redraw"),
        (("--noise-level", "5"), "noise-level: is not possible with --redraw"),
        (("--strength", "2"), "strength: must be at most 1"),
        (("--strength", "much"), "strength: must be a number"),
        (("--method", "magic"), "method"),
        (("--factor", "1"), "factor: must be above 1"),
    ],
)
def test_mistakes_are_one_line(photo: Path, bad: Any, options: tuple[str, ...], said: str) -> None:
    assert said in bad("upscale", photo, "--redraw", "a frog", "--model", "tiny", *options)


def test_one_picture_at_a_time_and_a_strength_only_with_it(photo: Path, bad: Any) -> None:
    assert "one picture at a time" in bad("upscale", photo, photo, "--redraw", "a frog")
    assert "strength: is for --redraw" in bad("upscale", photo, "--strength", "0.5")
