"""Forms and recipes: what stands on the page is what the command line would draw."""

from dataclasses import replace

import pytest

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.models.load import find_model
from sfumato.recipe.adapters import taken_out
from sfumato.recipe.codec import digest
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.parts import ImagePart, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.serving.studio.forms import (
    STYLES,
    Create,
    adapter_mark,
    create_of,
    laid_over,
    left_out,
    lost_of,
    number_of,
    recipe_of_create,
    reseeded,
    seed_of,
    size_of,
    varied,
    whole_of,
)
from tiny_models import tiny_settings

FULL = Create(
    prompt="a frog",
    negative="snow",
    size=(160, 104),
    count=2,
    seed=7,
    steps=9,
    guidance=4.5,
    guidance_start=0.1,
    guidance_stop=0.8,
    sampler="heun",
    spacing="karras",
)
FLAGS = Flags(
    prompt="a frog",
    negative="snow",
    size="160x104",
    count="2",
    seed="7",
    steps="9",
    guidance="4.5",
    guidance_start="0.1",
    guidance_stop="0.8",
    sampler="heun",
    spacing="karras",
)


def drawn(recipe: Recipe) -> str:
    defaults = find_model("bundled", tiny_settings()).defaults
    return digest(resolve(recipe, defaults, new_seed=lambda: 7))


def test_the_page_and_the_command_line_draw_the_same() -> None:
    assert drawn(recipe_of_create(FULL)) == drawn(with_flags(Recipe(), FLAGS))
    assert drawn(recipe_of_create(Create("a frog"))) == drawn(with_flags(Recipe(), Flags(prompt="a frog")))
    assert drawn(recipe_of_create(FULL)) != drawn(recipe_of_create(replace(FULL, steps=8)))


def test_a_recipe_fills_the_form_that_asks_for_it() -> None:
    assert create_of(recipe_of_create(FULL)) == FULL
    assert create_of(recipe_of_create(Create("a frog"))) == Create("a frog")
    assert create_of(Recipe()).prompt == ""


@pytest.mark.parametrize("style", STYLES)
def test_styles_say_it_in_words(style: str) -> None:
    text = recipe_of_create(Create("a {} frog", style=style, loras="<lora:ink:0.5>")).text
    assert text is not None
    assert "a {} frog" in text.prompt
    assert text.prompt.endswith(" <lora:ink:0.5>")


@pytest.mark.parametrize("text", ["-1", "1.5", "seven", "١٢", "9" * 40])
def test_seeds_are_whole_numbers(text: str) -> None:
    with pytest.raises(RecipeError, match="seed: is no whole number"):
        seed_of(text)
    assert seed_of(" 12 ") == 12
    assert seed_of("") is None


def test_chips_end_in_their_size() -> None:
    assert size_of("Wide 160 x 104") == (160, 104)
    with pytest.raises(RecipeError, match="size: is no size"):
        size_of("Wide")


@pytest.mark.parametrize(
    ("text", "number"),
    [("", None), ("  ", None), ("7", 7.0), (" 7.5 ", 7.5), ("7,5", 7.5), ("0", 0.0), ("-1", -1.0)],
)
def test_numbers_are_read_as_they_are_typed(text: str, number: float | None) -> None:
    assert number_of(text, "guidance") == number


@pytest.mark.parametrize(
    "text", ["nan", "inf", "1e400", "7,5,1", "1.000,5", ",", ".", "٣", "1" * 21, "7.5.1"]
)
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(RecipeError, match="guidance: is no number"):
        number_of(text, "guidance")
    with pytest.raises(RecipeError, match="steps: is no whole number"):
        whole_of(text.replace("1" * 21, "1" * 31), "steps")


def test_adapters_are_written_as_prompts_name_them() -> None:
    assert adapter_mark("ink", 0.8) == "<lora:ink:0.8>"
    assert adapter_mark("ink", 0.8, 0.8) == "<lora:ink:0.8>"
    assert adapter_mark("ink", 0.5, 0.8) == "<lora:ink:0.8:0.5>"
    assert [adapter_mark(name, 1) for name in ("", "a:b", "a<b", "a>b", "a\nb")] == [None] * 5


def test_pictures_like_one_differ_in_their_seeds_alone() -> None:
    plain = varied(Recipe(parts=(TextPart(prompt="a frog"),), seed=7, steps=3), 0.2)
    like = reseeded(plain, 5)
    assert (like.seed, like.count) == (None, 5)
    assert like.model_copy(update={"seed": 7, "count": 1}) == plain


def test_an_adapter_stands_once_in_its_field() -> None:
    written = laid_over("", "ink", 0.8)
    written = laid_over(written, "a.b (2)", 1)
    assert written == "<lora:ink:0.8> <lora:a.b (2):1>"
    assert laid_over(written, "ink", 0.4) == "<lora:a.b (2):1> <lora:ink:0.4>"
    assert left_out(written, "a.b (2)") == "<lora:ink:0.8>"
    assert left_out("<LYCO:Ink> and <lora:inkwell:1>", "ink") == "and <lora:inkwell:1>"
    assert laid_over(written, "a:b", 1) == written
    recipe = recipe_of_create(Create(prompt="a frog", loras=written))
    assert recipe.text is not None
    assert [one.name for one in taken_out(recipe.text.prompt)[1]] == ["ink", "a.b (2)"]


def test_what_a_form_has_no_fields_for_is_named() -> None:
    plain = Recipe(parts=(TextPart(prompt="a frog"),))
    assert lost_of(plain) == ()
    assert lost_of(varied(plain, 0.2)) == ()
    image = ImagePart(source="a.png")
    assert lost_of(Recipe(parts=(*plain.parts, image, MicroPart(negative_crop=(0, 8))))) == ("image", "micro")
