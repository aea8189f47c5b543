"""Errors on the page are whole sentences, and call fields as the page does."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from sfumato.errors import RecipeError, SfumatoError
from sfumato.recipe.parts import Part
from sfumato.serving.studio.edit_forms import Edit, Place, empty_mask, recipe_of_edit
from sfumato.serving.studio.film_forms import Film, wish_of
from sfumato.serving.studio.finer_forms import Finer
from sfumato.serving.studio.forms import Create, number_of, recipe_of_create, seed_of, whole_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.saying import _CALLED, _WHOLE, label_of, lost_line, sentence_of
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.words import words_of
from sfumato.serving.unplaced import vanished

ENGLISH = words_of(Look())
GERMAN = words_of(Look(language="de"))


def said(make: object, language: str = "en") -> str:
    words = ENGLISH if language == "en" else GERMAN
    assert callable(make)
    with pytest.raises(SfumatoError) as caught:
        make()
    return str(sentence_of(caught.value, words))


def test_numbers() -> None:
    text = "“Guidance”: 'x' is not a number. Type one such as 0.5 or 7, or leave it empty."
    assert said(lambda: number_of("x", "guidance")) == text
    negative = Create("a", guidance=number_of("-1", "guidance"))
    assert said(lambda: recipe_of_create(negative)) == "“Guidance” must be at least 0, not -1."
    assert (
        said(lambda: recipe_of_create(Create("a", guidance=101)))
        == "“Guidance” must be at most 100, not 101."
    )


@pytest.mark.parametrize("typed", ["-3", "2.5", "2,5", "-0.5", "1e3", "seven", "<b>", "1001", "0"])
def test_what_is_no_whole_number_is_said_with_what_is_asked_for(typed: str) -> None:
    shown = typed if typed[-1].isdigit() and "e" not in typed else repr(typed)
    text = f"“Steps”: {shown} is not a whole number from 1 to 1000. Type one, or leave it empty."
    assert said(lambda: recipe_of_create(Create("a", steps=whole_of(typed, "steps")))) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "“Startwert”: -3 ist keine ganze Zahl von 0 bis 9223372036854775807."),
        ("nl", "“Startgetal”: -3 is geen geheel getal van 0 tot en met 9223372036854775807."),
        ("es", "“Semilla”: -3 no es un número entero de 0 a 9223372036854775807."),
        ("fr", "“Graine” : -3 n\u2019est pas un nombre entier de 0 à 9223372036854775807."),
    ],
)
def test_it_is_said_in_every_language(language: str, text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        seed_of("-3")
    assert str(sentence_of(caught.value, words_of(Look(language=language)))).startswith(text)


def _asked(name: str, number: int) -> object:
    """Make what the field with this label is for."""
    field = name.removeprefix("finer_")
    if name.startswith("film_"):
        asked: dict[str, Any] = {field.removeprefix("film_"): str(number)}
        return wish_of(Film(Edit("mix", "a", other="b"), **asked))
    asked = {field: number}
    if not name.startswith("finer_"):
        return recipe_of_create(Create("a", **asked))
    with_it: dict[str, Any] = {"hires": 2.0} if field.startswith(("hires", "window")) else {}
    with_it |= {"variation": 0.5} if field == "variation_seed" else {}
    return recipe_of_create(Create("a", finer=Finer(**with_it, **asked)))


@pytest.mark.parametrize(("name", "ends"), _WHOLE.items())
def test_the_ends_that_are_told_are_those_of_recipes(name: str, ends: tuple[int, int]) -> None:
    label, (least, most) = ENGLISH(name), ends
    assert _asked(name, least)
    text = f"“{label}”: {least - 1} is not a whole number from {least} to {most}."
    assert said(lambda: _asked(name, least - 1)).startswith(text)
    if not name.startswith("film_"):  # which say what else would do
        text = text.replace(f" {least - 1} ", f" {most + 1} ")
        assert said(lambda: _asked(name, most + 1)).startswith(text)


def test_an_end_of_another_field_of_the_same_name_is_kept() -> None:
    few = RecipeError("must be at most 60", field="steps", value=61)
    assert str(sentence_of(few, ENGLISH)) == "“Steps” must be at most 60, not 61."


def test_a_negative_side_is_said_and_the_field_named() -> None:
    wrong = Edit("extend", "a", image="x", left=-5, right=8)
    assert said(lambda: recipe_of_edit(wrong)) == "“Left” must be at least 0, not -5."
    assert said(lambda: recipe_of_edit(Edit("extend", "a", image="x"))) == ENGLISH("say_sides")


def test_what_a_picture_asks_for_in_vain_is_named_as_the_page_does() -> None:
    lost = [("model", "v1-5"), ("clip_skip", ""), ("vae", ""), ("vae", "kl"), ("image", ""), ("vae", "")]
    told = "Model “v1-5”, Clip skip, Autoencoder (VAE), Autoencoder (VAE) “kl”, Picture"
    assert lost_line(lost, ENGLISH) == f"What is not here is left out: {told}."
    assert "Modell “v1-5”, Clip Skip" in lost_line(lost, GERMAN)


def test_every_kind_of_part_is_called_something() -> None:
    kinds = [one.model_fields["kind"].default for one in get_args(get_args(Part)[0])]
    assert {"extras", "micro", "mix"} < {*kinds}
    for kind in {*kinds} - {"adapters"}:  # which have a field of that name
        assert not lost_line([(kind, "")], ENGLISH).endswith(f" {kind}."), kind


def test_what_is_missing() -> None:
    assert str(sentence_of(empty_mask(), ENGLISH)) == "Paint over what is to be drawn anew first."
    assert said(lambda: recipe_of_edit(Edit("change", "a"))) == "Put a picture on the canvas first."
    assert said(lambda: recipe_of_edit(Edit("mix", "a")), "de") == GERMAN("say_other")


def test_a_picture_that_vanished_is_named() -> None:
    gone = vanished(Path("/home/ada/pictures/a-frog-7.png"))
    said = "The picture 'a-frog-7.png' is no longer there: its file was removed or moved."
    assert str(sentence_of(gone, ENGLISH)) == said
    assert str(sentence_of(gone, GERMAN)).startswith("Das Bild 'a-frog-7.png' ist nicht mehr da")


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
            "“Pictures in all”: 'x' is not a whole number from 2 to 120.",
            "“Bilder im Ganzen”: 'x' ist keine",
        ),
        ({"frames": "1"}, "“Pictures in all”: 1 is not a whole number", "“Bilder im Ganzen”"),
        ({"frames": "121"}, "“Pictures in all” are too many here", "“Bilder im Ganzen”"),
        ({"seeds": "1,x"}, "“From seed to seed”: 'x' is not a whole number", "“Von Startwert zu Startwert”"),
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
    sentence = said(lambda: recipe_of_create(Create("a", finer=finer)))
    assert sentence.startswith((f"“{label}” must be", f"“{label}”: -1 is not a whole number from"))


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
    assert "“Steps”: &#x27;&lt;b&gt;&#x27; is not a number" in box
    assert "<b>" not in box
    assert "steps: is no number" in problem_of(RecipeError("is no number", field="steps"))
