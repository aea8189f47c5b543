import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.strategies import ADAPTERS, DEFAULTS, adapter_parts, any_text, quick
from sfumato.errors import RecipeError
from sfumato.recipe.adapters import Adapter, AdaptersPart, Embedding
from sfumato.recipe.adapters_text import from_pairs, to_pairs, with_marks
from sfumato.recipe.image import Recipe
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve


def resolved(part: AdaptersPart, prompt: str = "a frog"):
    return resolve(Recipe(seed=1, parts=(TextPart(prompt=prompt), part)), DEFAULTS, adapters=ADAPTERS)


def test_the_text_is_what_others_read():
    part = AdaptersPart(adapters=(Adapter(name="foo", weight=0.8),), embeddings=(Embedding(name="badhand"),))
    text = to_parameters(resolved(part))
    assert text.startswith("a frog <lora:foo:0.8>\nSteps: 20, ")
    assert 'Lora hashes: "foo: 111111111111"' in text
    assert 'TI hashes: "badhand: 333333333333"' in text


@quick
@given(adapter_parts, any_text)
def test_adapters_come_back(part, prompt):
    before = resolved(part, prompt)
    after = resolve(parse_parameters(to_parameters(before)), DEFAULTS, adapters=ADAPTERS)
    assert (after.adapters, after.text) == (before.adapters, before.text)


def test_a_foreign_text_pins_what_it_names():
    left, part = from_pairs(
        "a frog <lora:Foo:0.8>, <lora:bar>",
        {"Lora hashes": "foo: 1234ABCD5678, other: 00", "TI hashes": "x: 12345678"},
    )
    assert left == "a frog ,"
    assert part == {
        "kind": "adapters",
        "adapters": [
            {"name": "Foo", "weight": 0.8, "digest": "1234abcd5678"},
            {"name": "bar", "weight": 1.0},
        ],
        "embeddings": [{"name": "x", "digest": "12345678"}],
    }


def test_nothing_is_nothing():
    assert from_pairs("a frog", {"Lora hashes": "foo: 1234abcd5678"}) == ("a frog", None)
    assert (to_pairs(None), with_marks("a", None)) == ({}, "a")


@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_a_damaged_key_is_said(text):
    with pytest.raises(RecipeError, match="cannot be read"):
        from_pairs("a", {"Adapters": text})


def test_our_own_key_says_what_marks_cannot():
    part = AdaptersPart(adapters=(Adapter(name="loras/bär: x", blocks={"MID": 0.5}),))
    pairs = to_pairs(resolved(part).adapters)
    assert json.loads(pairs["Adapters"])["adapters"][0]["blocks"] == {"MID": 0.5}
    assert with_marks("a", resolved(part).adapters) == "a"


@quick
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_hashes_are_read_or_passed_over(loras, words):
    from_pairs("a", {"Lora hashes": loras, "TI hashes": words})
