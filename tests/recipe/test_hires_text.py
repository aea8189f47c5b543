"""A second drawing in A1111's words, ours and another program's."""

import pytest

from recipe.strategies import DEFAULTS, SOURCES
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.hires_text import from_pairs, to_pairs
from sfumato.recipe.image import Recipe
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.parts import ImagePart, Part, TextPart
from sfumato.recipe.resolve import resolve

FROG = TextPart(prompt="a frog")
A1111 = (
    "a frog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Denoising strength: 0.5, "
    "Hires upscale: 2, Hires steps: 10, Hires upscaler: {}, Version: v1.10"
)


@pytest.mark.parametrize(
    "parts",
    [
        (HiresPart(scale=2.0),),
        (HiresPart(scale=3.5, strength=0.25, method="latent", steps=9, passes=3, keep=0.5),),
        (HiresPart(scale=4.0, method="lanczos"), WindowsPart(size=96, overlap=0.125)),
        (WindowsPart(),),
    ],
)
def test_what_is_written_is_read(parts: tuple[Part, ...]) -> None:
    made = resolve(Recipe(seed=3, parts=(FROG, *parts)), DEFAULTS)
    read = parse_parameters(to_parameters(made))
    assert (read.hires, read.windows) == (recipe_of(made).hires, recipe_of(made).windows)


def test_the_words_are_a1111s() -> None:
    made = resolve(
        Recipe(seed=3, parts=(FROG, HiresPart(scale=2.0, strength=0.5, method="lanczos"))), DEFAULTS
    )
    pairs = to_pairs(made.hires, made.windows, image=False)
    assert pairs["Hires upscale"] == "2"
    assert pairs["Hires steps"] == "10"  # A1111 counts those that are drawn
    assert pairs["Hires upscaler"] == "Lanczos"
    assert pairs["Denoising strength"] == "0.5"
    assert to_pairs(None, None, image=False) == {}


def test_beside_an_image_the_strength_has_a_word_of_its_own() -> None:
    parts = FROG, ImagePart(source="cat.png", strength=0.75), HiresPart(scale=2.0, strength=0.5)
    made = resolve(Recipe(seed=3, parts=parts), DEFAULTS, sources=SOURCES)
    text = to_parameters(made)
    assert "Denoising strength: 0.75" in text
    assert "Hires strength: 0.5" in text


@pytest.mark.parametrize(
    ("label", "method"), [("Latent", "latent"), ("Lanczos", "lanczos"), ("R-ESRGAN 4x+", None), ("", None)]
)
def test_another_programs_hires_fix_is_one_pass_of_its_steps(label: str, method: str | None) -> None:
    part = parse_parameters(A1111.format(label)).hires
    assert part is not None
    assert (part.scale, part.strength, part.steps, part.passes, part.keep) == (2.0, 0.5, 20, 1, 0.0)
    assert part.method == method


def test_without_steps_it_draws_as_many_as_before() -> None:
    (part,) = from_pairs({"Hires upscale": "1.5", "Denoising strength": "0.7", "Steps": "20"})
    assert part["steps"] == 29
    (still,) = from_pairs({"Hires upscale": "1.5", "Denoising strength": "0", "Steps": "20"})
    assert still["steps"] == 20
    (many,) = from_pairs({"Hires upscale": "1.5", "Denoising strength": "0.0001", "Steps": "20"})
    assert many["steps"] == 1000


def test_a_scale_of_one_is_no_second_drawing() -> None:
    assert from_pairs({"Hires upscale": "1", "Denoising strength": "0.5"}) == []
    assert from_pairs({}) == []


@pytest.mark.parametrize(
    "pairs",
    [
        {"Hires upscale": "two"},
        {"Hires upscale": "nan"},
        {"Hires upscale": "2", "Hires steps": "inf"},
        {"Windows": "wide"},
    ],
)
def test_what_is_no_number_is_named(pairs: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match="must be a number"):
        from_pairs(pairs)
