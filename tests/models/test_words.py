"""Tokens come together as the words they were cut from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.models.text import tokenise
from sfumato.models.words import Word, words_of
from sfumato.recipe.prompt import compile_prompt
from tiny_models import MAX_LENGTH, tiny_bundle

ROOM = MAX_LENGTH - 2


def words(text: str) -> tuple[Word, ...]:
    tokenizer = tiny_bundle().tokenizer
    return words_of(tokenizer, tokenise(tokenizer, compile_prompt(text, 1).variants[0][0][1]))


def texts(text: str) -> list[str]:
    return [word.text for word in words(text)]


def test_a_known_word_is_one_token_and_an_unknown_one_several() -> None:
    frog, zebra, on = words("Frog zebra on")
    assert frog == Word("frog", (1,))
    assert zebra.text == "zebra"
    assert len(zebra.places) > 1
    assert zebra.places == tuple(range(2, 2 + len(zebra.places)))
    assert on == Word("on", (2 + len(zebra.places),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a frog, on a beach!", ["a", "frog", "on", "a", "beach"]),
        ("a (red:1.3) frog", ["a", "red", "frog"]),
        ("café 日本 🐸", ["café", "日本", "🐸"]),
        ("", []),
        (", . !", []),
    ],
)
def test_punctuation_marks_and_padding_are_no_words(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_places_count_on_through_chunks() -> None:
    found = words("a " * ROOM + "frog")
    assert [word.places for word in found[:2]] == [(1,), (2,)]
    assert found[-1] == Word("frog", (MAX_LENGTH + 1,))
    assert words("a BREAK frog")[-1] == Word("frog", (MAX_LENGTH + 1,))


def test_a_word_that_the_end_of_a_chunk_cuts_is_two() -> None:
    found = words("a " * (ROOM - 1) + "zebra")
    assert "".join(word.text for word in found[ROOM - 1 :]) == "zebra"
    assert found[ROOM - 1].places == (ROOM,)


@given(st.text(max_size=60))
def test_no_text_is_too_odd_and_no_token_belongs_twice(text: str) -> None:
    places = [place for word in words(text) for place in word.places]
    assert places == sorted(set(places))
    assert all(place % MAX_LENGTH != 0 for place in places)
