import json

import pytest

from sfumato.models.notes import MAX_WORDS, line, notes_of, with_card


def test_words_are_those_of_the_captions_by_frequency() -> None:
    counts = {"10_frog": {"sks frog": 40, "green": 12}, "5_toad": {"green": 30, "brown": 1}}
    notes = notes_of({"ss_tag_frequency": json.dumps(counts), "ss_output_name": "frogs"})
    assert notes.words == (("green", 42), ("sks frog", 40), ("brown", 1))
    assert notes.title == "frogs"


def test_words_that_the_author_names_come_first() -> None:
    notes = notes_of(
        {
            "modelspec.trigger_phrase": "sks frog, masterpiece",
            "modelspec.license": "CC0-1.0",
            "modelspec.author": "a frog",
            "ss_tag_frequency": '{"a": {"green": 1}}',
        }
    )
    assert notes.words == (("sks frog", 0), ("masterpiece", 0), ("green", 1))
    assert (notes.licence, notes.author) == ("CC0-1.0", "a frog")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"a": 3}',
        '{"a": {"b": "c"}}',
        '{"a": {"b": true}}',
        '{"a": {"b": -1}}',
        "[" * 9999,
    ],
)
def test_notes_that_are_no_captions_give_no_words(text: str) -> None:
    assert notes_of({"ss_tag_frequency": text}).words == ()


def test_many_words_and_long_texts_are_cut() -> None:
    counts = {"a": {f"word {n}": n for n in range(1, 1000)}}
    notes = notes_of({"ss_tag_frequency": json.dumps(counts), "modelspec.title": "x" * 10_000})
    assert len(notes.words) == MAX_WORDS
    assert notes.words[0] == ("word 999", 999)
    assert notes.title is not None
    assert len(notes.title) == 200


def test_nothing_that_steers_a_terminal_is_left() -> None:
    assert line("a\x1b[31mred\x07\nb\u202eevil\ud800\t c") == "a [31mred b evil c"
    assert line("größe 🐸 蛙") == "größe 🐸 蛙"
    assert line("x" * 300) == "x" * 197 + "..."


def test_a_card_fills_what_the_weights_leave_open() -> None:
    card = {
        "license": ("other",),
        "license_name": ("frog\x1b-licence",),
        "base_model": ("a/b", "c/d"),
        "library_name": ("diffusers",),
        "pipeline_tag": ("text-to-image",),
        "instance_prompt": ("sks frog",),
        "model_name": ("Frogs " * 100,),
    }
    notes = with_card(notes_of({}), card)
    assert (notes.licence, notes.base) == ("frog -licence (other)", "a/b, c/d")
    assert (notes.library, notes.task) == ("diffusers", "text-to-image")
    assert notes.words == (("sks frog", 0),)
    assert notes.title is not None
    assert len(notes.title) == 200
    said = notes_of({"modelspec.license": "CC0-1.0", "modelspec.trigger_phrase": "x", "modelspec.title": "y"})
    mine = with_card(said, card)
    assert (mine.licence, mine.words, mine.title) == ("CC0-1.0", (("x", 0),), "y")
    assert with_card(said, {}) == said
