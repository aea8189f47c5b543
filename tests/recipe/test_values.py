import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sfumato.recipe import values

REFUSED = {
    "Size": [0, -1, 16_385, 64.0, "64", True, None],
    "Pixels": [-1, 16_385, 1.0, "1", True],
    "SignedPixels": [-16_385, 16_385, 1.0, "-1"],
    "Steps": [0, 1001, 2.0, "2"],
    "StartStep": [-1, 1001, 2.0],
    "Guidance": [-0.1, 100.1, "7", True],
    "Seed": [-1, values.MAX_SEED + 1, 1.0, True],
    "Count": [0, values.MAX_COUNT + 1],
    "Fraction": [-1e-9, 1.1, "0.5", True],
    "Share": [0.0, -0.5, 1.5],
    "Ratio": [0.0, 1000.5],
    "CacheInterval": [0, 17],
    "Index": [-1, values.MAX_COUNT],
    "Switch": [0, 1, "yes", None],
    "Name": ["", "x" * 1001, 3],
    "PromptText": [3, None, b"frog"],
    "Sha256": ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", 0],
}
KEPT = {
    "Size": [1, 16_384],
    "Pixels": [0, 16_384],
    "SignedPixels": [-16_384, 0, 16_384],
    "StartStep": [0, 1000],
    "Fraction": [0.0, 1.0],
    "Share": [1e-300, 1.0],
    "Seed": [0, values.MAX_SEED],
    "Switch": [True, False],
    "Sha256": ["0123456789abcdef" * 4],
}


def read(kind, value):
    return TypeAdapter(vars(values)[kind]).validate_python(value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in REFUSED for value in REFUSED[kind]])
def test_nothing_is_bent_to_fit(kind, value):
    with pytest.raises(ValidationError):
        read(kind, value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in KEPT for value in KEPT[kind]])
def test_ends_of_ranges_belong_to_them(kind, value):
    assert read(kind, value) == value


@pytest.mark.parametrize("kind", ["Guidance", "Fraction"])
def test_zero_has_no_sign(kind):
    assert repr(read(kind, -0.0)) == "0.0"
    assert repr(read(kind, 1)) == "1.0"


@given(st.text(st.characters(exclude_categories=())))
def test_text_can_be_written_and_stays_as_it_is_then(text):
    cleaned = read("PromptText", text)
    cleaned.encode("utf-8")
    assert read("PromptText", cleaned) == cleaned
