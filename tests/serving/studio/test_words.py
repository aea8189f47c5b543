import pytest

from sfumato.errors import RecipeError
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import ENGLISH, words_of


def test_looks_replace_words() -> None:
    words = words_of(Look(words={"generate": "Paint!", "step_of": "{1}/{0} {2} {prompt.__class__}"}))
    assert words("generate") == "Paint!"
    assert words("stop") == ENGLISH["stop"]
    assert words("step_of", 3, 20) == "20/3 {2} {prompt.__class__}"


def test_unknown_words_and_languages_are_named() -> None:
    with pytest.raises(RecipeError, match="words: names none of the page's words") as caught:
        words_of(Look(words={"generat": "x"}))
    assert caught.value.hint == "Did you mean generate?"
    with pytest.raises(RecipeError, match="language: is not known here"):
        words_of(Look(language="tlh"))
