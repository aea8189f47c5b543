"""Errors on the page are whole sentences, and call fields as the page does."""

from dataclasses import fields
from typing import Any

import pytest

from sfumato.errors import RecipeError, SfumatoError
from sfumato.serving.studio.edit_forms import Edit, Place, empty_mask, recipe_of_edit
from sfumato.serving.studio.film_forms import Film, wish_of
from sfumato.serving.studio.finer_forms import Finer
from sfumato.serving.studio.forms import Create, number_of, recipe_of_create, seed_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.saying import _CALLED, label_of, sentence_of
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


@pytest.mark.parametrize(
    ("asked", "english", "german"),
    [
        (
            {"frames": "x"},
            "“Pictures in all” must be a whole number",
            "“Bilder im Ganzen” muss eine",
        ),
        ({"frames": "1"}, "“Pictures in all” must be at least 2", "“Bilder im Ganzen”"),
        ({"frames": "121"}, "“Pictures in all” are too many here", "“Bilder im Ganzen”"),
        ({"seeds": "1,x"}, "“From seed to seed” must be a whole number", "“Von Startwert zu Startwert”"),
        ({"seeds": "4..1"}, "“From seed to seed” is no range", "“Von Startwert zu Startwert”"),
        ({"fps": 0.0}, "“Pictures a second” cannot be shown", "“Bilder in der Sekunde”"),
        ({"hold": 99.0}, "“Seconds that each of them stays” cannot be held", "“Sekunden"),
    ],
)
def test_the_fields_of_a_film(asked: dict[str, Any], english: str, german: str) -> None:
    film = Film(Edit("mix", "a", other="b"), **asked)
    assert said(lambda: wish_of(film)).startswith(english)
    assert said(lambda: wish_of(film), "de").startswith(german)


def test_every_field_that_has_another_name_has_one_on_the_page() -> None:
    assert set(_CALLED.values()) <= set(ENGLISH.table)


def test_words_of_the_page_that_are_no_labels_are_not_taken_for_some() -> None:
    for field in ("recipe", "download", "delete", "search", "details", "how", "parts[0].kind", "sides"):
        assert label_of(field, ENGLISH) is None
    assert label_of("models", ENGLISH) is None


def test_what_does_not_agree_is_said_without_a_name() -> None:
    film = Film(Edit("mix", "a", other="b"), seeds="1,2,3")
    text = "2 prompts and 3 seeds: give one, or one for each stop"
    assert said(lambda: wish_of(film)) == text
    refined = Finer(refiner="a", hires=2.0)
    assert said(lambda: recipe_of_create(Create("a", finer=refined))).startswith("A refiner ends one drawing")


@pytest.mark.parametrize("form", [Create, Edit, Finer, Film])
def test_every_field_of_a_form_has_a_label(form: Any) -> None:
    whole = {
        "task",
        "edit",
        "finer",
        "begin",
        "only_masked",
    }  # of which nothing can be wrong, or another form
    names = {one.name for one in fields(form)} - whole
    assert {name for name in names if label_of(name, ENGLISH) is None} == set()


@pytest.mark.parametrize(
    ("finer", "label"),
    [
        (Finer(hires=2.0, hires_steps=-1), "Steps of the second drawing"),
        (Finer(hires=2.0, hires_strength=-1.0), "How much of it to draw anew"),
        (Finer(hires=0.5), "How many times as large"),
        (Finer(variation=-1.0), "Share of another noise"),
        (Finer(variation=0.5, variation_seed=-1), "Seed of the other noise"),
        (Finer(original=(-1, 8)), "Told: original size"),
        (Finer(freeu=(-50.0, 1.0, 1.0, 1.0)), "FreeU"),
        (Finer(windows=True, window=-1), "Side of a window, pixels"),
        (Finer(refiner="a", refine_from=-1.0), "The refiner draws from"),
    ],
)
def test_parts_have_the_labels_of_their_own_fields(finer: Finer, label: str) -> None:
    assert said(lambda: recipe_of_create(Create("a", finer=finer))).startswith(f"“{label}” must be")


def test_the_labels_of_what_a_task_asks_for() -> None:
    wrong = Edit("follow", "a", image="x", weight=-1.0)
    assert said(lambda: recipe_of_edit(wrong)).startswith(
        "“How closely they are followed” must be at least 0"
    )
    empty = Edit("place", "a", places=(Place("a", 0, 0, 1, 1), Place(" ", 0, 0, 1, 1)))
    assert said(lambda: recipe_of_edit(empty)).startswith("“Box 2” has no words")
    assert said(lambda: recipe_of_edit(empty), "de").startswith("“Kasten 2”")


def test_it_is_what_stands_on_the_page() -> None:
    box = problem_of(RecipeError("is no number", field="steps", value="<b>"), ENGLISH)
    assert "“Steps” must be a number" in box
    assert "<b>" not in box
    assert "steps: is no number" in problem_of(RecipeError("is no number", field="steps"))
