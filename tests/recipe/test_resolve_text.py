"""The words of a recipe, resolved: shares of a mix, and when guidance works."""

import pytest

from recipe.strategies import DEFAULTS
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.recipe.resolve import resolve

FROG = TextPart(prompt="frog")


def mixed(*ratios, text: TextPart | None = FROG, main=None):
    prompts = tuple(MixPrompt(prompt=f"p{i}", ratio=ratio) for i, ratio in enumerate(ratios))
    mix = MixPart(prompts=prompts, ratio=main)
    return resolve(Recipe(parts=(mix,) if text is None else (text, mix)), DEFAULTS)


def test_a_fast_mix_without_text_has_the_window_too():
    mix = MixPart(prompts=(MixPrompt(prompt="a", ratio=0.5), MixPrompt(prompt="b", ratio=0.5)))
    text = resolve(Recipe(fast=True, parts=(mix,)), DEFAULTS).text
    assert text is not None
    assert (text.guidance_start, text.guidance_stop) == (0.1, 0.6)


def test_a_mixed_share_is_absolute():
    resolved = mixed(0.5)
    assert resolved.text is not None
    assert resolved.text.prompt == "frog"
    assert resolved.mix is not None
    assert (resolved.mix.ratio, resolved.mix.prompts[0].ratio) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("ratios", "main", "shares"),
    [
        ((0.3,), None, (0.7, 0.3)),
        ((0.25, 0.25), None, (0.5, 0.25, 0.25)),
        ((1.0,), None, (0.5, 0.5)),
        ((1.0, 2.0), None, (0.25, 0.25, 0.5)),
        ((1.0,), 3.0, (0.75, 0.25)),
        ((0.2,), 0.2, (0.5, 0.5)),
    ],
)
def test_shares(ratios, main, shares):
    mix = mixed(*ratios, main=main).mix
    assert mix is not None
    assert (mix.ratio, *(item.ratio for item in mix.prompts)) == pytest.approx(shares)


def test_a_mix_without_text_has_its_first_prompt_as_text():
    resolved = mixed(1.0, 3.0, text=None)
    assert resolved.text is not None
    assert resolved.mix is not None
    assert resolved.text.prompt == "p0"
    assert resolved.mix.ratio == 0.25
    assert resolved.mix.prompts == (MixPrompt(prompt="p1", ratio=0.75),)
    alone = mixed(2.0, text=None)
    assert [part.kind for part in alone.parts] == ["text"]


def test_shares_too_small_to_see():
    with pytest.raises(RecipeError, match="mix: a ratio is too small"):
        mixed(1e-9)
    with pytest.raises(RecipeError, match="mix: a ratio is too small"):
        mixed(1000.0, main=1e-6)
