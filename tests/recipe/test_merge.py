from typing import Any

import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.codec import from_json, from_toml, to_json, to_toml
from sfumato.recipe.merge import PARTS, MergeRecipe

TWO = {"a": {"name": "a.safetensors"}, "b": {"name": "b.safetensors"}}
THREE = {**TWO, "c": {"name": "c.safetensors"}}


def read(**fields: Any) -> MergeRecipe:
    return from_json(MergeRecipe.model_validate(fields).model_dump_json(), MergeRecipe)


def test_it_goes_to_text_and_back() -> None:
    recipe = read(**THREE, method="difference", parts={"IN00": 0.25, "VAE": 0.0}, dtype="float16")
    assert from_toml(to_toml(recipe), MergeRecipe) == recipe
    assert from_json(to_json(recipe), MergeRecipe) == recipe


def test_parts_have_the_weight_of_the_rest_or_their_own() -> None:
    recipe = read(**TWO, weight=0.4, parts={"OUT11": 1.0})
    assert recipe.weight_of("OUT11") == 1.0
    assert {recipe.weight_of(part) for part in PARTS if part != "OUT11"} == {0.4}
    assert len(set(PARTS)) == 28


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {"name": "a"}}', "b"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "method": "difference"}', "wants a third model"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "c": {"name": "c"}}', "takes no third model"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "weight": 3}', "weight"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "weight": NaN}', "NaN"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "parts": {"IN12": 1.0}}', "IN12"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "method": "slerp", "weight": 1.5}', "0 to 1"),
        ('{"a": {"name": "a", "sha256": "12"}, "b": {"name": "b"}}', "sha256"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "dtype": "fp8"}', "dtype"),
        ('{"a": {"name": "a"}, "b": {"name": "b"}, "method": "train"}', "method"),
    ],
)
def test_what_makes_no_merge_is_refused(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        from_json(text, MergeRecipe)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
