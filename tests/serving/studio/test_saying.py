"""Errors on the page are whole sentences, and call fields as the page does."""

import pytest

from sfumato.errors import RecipeError, SfumatoError
from sfumato.serving.studio.edit_forms import Edit, empty_mask, recipe_of_edit
from sfumato.serving.studio.forms import Create, number_of, recipe_of_create, seed_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.saying import label_of, sentence_of
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.words import words_of

ENGLISH = words_of(Look())
GERMAN = words_of(Look(language="de"))


def said(make: object, language: str = "en") -> str:
    words = ENGLISH if language == "en" else GERMAN
    assert callable(make)
    with pytest.raises(SfumatoError) as caught:
        make()
    return str(sentence_of(caught.value, words))


def test_numbers() -> None:
    text = "“Guidance” must be a number, such as 0.5 or 7, or be empty; 'x' is none."
    assert said(lambda: number_of("x", "guidance")) == text
    assert said(lambda: seed_of("x"), "de").startswith("“Startwert” muss eine ganze Zahl sein")
    assert said(lambda: recipe_of_create(Create("a", steps=-1))) == "“Steps” must be at least 1, not -1."
    assert (
        said(lambda: recipe_of_create(Create("a", guidance=101)))
        == "“Guidance” must be at most 100, not 101."
    )


def test_a_negative_side_is_said_and_the_field_named() -> None:
    wrong = Edit("extend", "a", image="x", left=-5, right=8)
    assert said(lambda: recipe_of_edit(wrong)) == "“Left” must be at least 0, not -5."
    assert said(lambda: recipe_of_edit(Edit("extend", "a", image="x"))) == ENGLISH("say_sides")


def test_what_is_missing() -> None:
    assert str(sentence_of(empty_mask(), ENGLISH)) == "Paint over what is to be drawn anew first."
    assert said(lambda: recipe_of_edit(Edit("change", "a"))) == "Put a picture on the canvas first."
    assert said(lambda: recipe_of_edit(Edit("mix", "a")), "de") == GERMAN("say_other")


def test_everything_else_keeps_its_words_behind_the_name() -> None:
    odd = RecipeError("is no size", field="size", value="9", hint="Write it as 512 x 512.")
    assert str(sentence_of(odd, ENGLISH)) == "“Shape” is no size (got '9'). Write it as 512 x 512."
    odd = RecipeError("nothing is drawn again", field="hires-strength", value=1)
    assert str(sentence_of(odd, ENGLISH)) == "“How much of it to draw anew”: nothing is drawn again (got 1)"
    for same in (RecipeError("say it"), RecipeError("is odd", field="parts[0].kind")):
        assert sentence_of(same, ENGLISH) is same
    assert label_of("extend.left", ENGLISH) == "Left"


def test_it_is_what_stands_on_the_page() -> None:
    box = problem_of(RecipeError("is no number", field="steps", value="<b>"), ENGLISH)
    assert "“Steps” must be a number" in box
    assert "<b>" not in box
    assert "steps: is no number" in problem_of(RecipeError("is no number", field="steps"))
