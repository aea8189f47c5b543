import re
import tomllib
from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.serving.studio import words as module
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import ENGLISH, LANGUAGES, SAME, translated, words_of

OTHERS = [one for one in LANGUAGES if one != "en"]


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


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_all_words_and_their_places(language: str) -> None:
    file = Path(module.__file__).parent / "languages" / f"{language}.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    assert set(table) == set(ENGLISH) - SAME
    for name, text in table.items():
        assert text.strip() == text != "", name
        places = [sorted(re.findall(r"\{[0-9]\}", one)) for one in (text, ENGLISH[name])]
        assert places[0] == places[1], name
    # A name that stands in the text of a button, and the button.
    for name in ("learn_first", "learn_about", "learn_gallery", "learn_nothing"):
        assert table["learn_show"] in table[name], name


@pytest.mark.parametrize("language", OTHERS)
def test_a_page_speaks_it_and_looks_replace_its_words(language: str) -> None:
    words = words_of(Look(language=language, words={"generate": "Paint!"}))
    assert words("stop") == translated(language)["stop"] != ENGLISH["stop"]
    assert words("generate") == "Paint!"
    for name in SAME:
        assert words(name) == ENGLISH[name]


def test_english_is_what_the_others_are_made_of() -> None:
    assert translated("en") == {}
    assert words_of(Look())("stop") == "Stop"
