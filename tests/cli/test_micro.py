from typing import Any

import pytest

from sfumato.cli.flags import Flags
from sfumato.cli.micro import micro_in_words, with_micro
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.parts import TextPart

FROG = Recipe(parts=(TextPart(prompt="a frog"),))
EVERYTHING = Flags(
    original_size="1536x1024",
    crop="0, 64",
    target_size="1024",
    negative_original_size="512",
    score="7.5",
    negative_score="2",
)
PART = MicroPart(
    original=(1536, 1024),
    crop=(0, 64),
    target=(1024, 1024),
    negative_original=(512, 512),
    score=7.5,
    negative_score=2.0,
)


def test_every_flag_lands_in_its_field() -> None:
    assert with_flags(FROG, EVERYTHING).micro == PART
    assert with_flags(FROG, EVERYTHING).text == FROG.text


def test_what_is_not_asked_stays() -> None:
    base = with_flags(FROG, EVERYTHING)
    assert with_flags(base, Flags()) == base
    assert with_flags(base, Flags(crop="8,8")).micro == PART.model_copy(update={"crop": (8, 8)})
    assert with_micro({}, Flags()) == {}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"original_size": "large"}, "original-size: must be width x height"),
        ({"target_size": "0x8"}, "target-size: "),
        ({"crop": "8"}, "crop: must be X,Y"),
        ({"score": "high"}, "score: must be a number"),
        ({"negative_score": "11"}, "negative-score: "),
    ],
)
def test_mistakes_name_the_option(flags: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        with_flags(FROG, Flags(**flags))
    assert str(caught.value).startswith(line)


def test_people_read_it_in_words() -> None:
    assert micro_in_words(PART.model_copy(update={"negative_original": None})) == {
        "original": "1536x1024",
        "crop": "0, 64",
        "target": "1024x1024",
        "score": "7.5",
        "negative score": "2",
    }
    assert micro_in_words(MicroPart()) == {}
