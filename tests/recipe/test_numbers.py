import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.numbers import number_of, optional_real, optional_whole, real, whole


@pytest.mark.parametrize(("text", "number"), [("20", 20), (" -3 ", -3), ("+7", 7), ("9" * 40, 10**40 - 1)])
def test_whole_numbers(text: str, number: int) -> None:
    assert whole("steps", text) == optional_whole("steps", text) == number


@pytest.mark.parametrize(
    "text", ["", "1.0", "1_000", "ten", "0x10", "nan", "9" * 41, "- 3", "1 2", "9" * 5000]
)
def test_what_is_no_whole_number_is_one_line(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^mask-grow: must be a whole number \(got .*\. For example 20\.$"):
        whole("mask-grow", text)


@pytest.mark.parametrize(("text", "number"), [("0.5", 0.5), ("7", 7.0), (" 1e-3 ", 0.001), ("-.5", -0.5)])
def test_real_numbers(text: str, number: float) -> None:
    assert real("eta", text) == optional_real("eta", text) == number


@pytest.mark.parametrize(
    ("text", "hint"), [("0,5", "Write it with a point."), ("half", "For example 0.5."), ("", "")]
)
def test_what_is_no_number_is_one_line(text: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=rf"^strength: must be a number \(got '{text}'\)\. .*{hint}"):
        real("strength", text)


def test_nothing_stays_nothing() -> None:
    assert optional_whole("steps", None) is None
    assert optional_real("eta", None) is None


def test_numbers_of_options_have_a_range() -> None:
    assert number_of("preview", " 3 ") == 3
    assert number_of("preview", "1000") == 1000
    for text in ("0", "1001", "-1"):
        with pytest.raises(RecipeError, match=rf"preview: must be between 1 and 1000 \(got {text}\)"):
            number_of("preview", text)
