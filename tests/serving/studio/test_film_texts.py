"""The words of films."""

import pytest

from page_texts import is_said
from sfumato.serving.studio.film_texts import FILMS
from sfumato.serving.studio.words import ENGLISH


@pytest.mark.parametrize("name", FILMS)
def test_the_page_says_each_of_them_somewhere(name: str) -> None:
    assert ENGLISH[name] == FILMS[name]
    assert is_said(name)
    assert not is_said(f"{name}x".replace("_", ""))
