from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from recipe.strategies import ADAPTERS, CONTROLS, DEFAULTS, SOURCES, quick, recipes
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import random_seed, recipe_from_mapping, resolve
from sfumato.recipe.resolved_parts import ResolvedText
from sfumato.recipe.values import MAX_SEED
from sfumato.settings import Settings

FROG = TextPart(prompt="frog")


def complaint(recipe, **options):
    with pytest.raises(RecipeError) as caught:
        resolve(recipe, DEFAULTS, **options)
    return str(caught.value)


def test_the_models_defaults_fill_what_is_open():
    resolved = resolve(Recipe(parts=(FROG,)), DEFAULTS, new_seed=lambda: 42)
    assert resolved.model_dump() == {
        "version": 1,
        "model": "bundled",
        "model_digest": DEFAULTS.digest,
        "width": 128,
        "height": 128,
        "steps": 20,
        "sampler": "ddim",
        "spacing": "trailing",
        "guidance": 4.0,
        "seed": 42,
        "count": 1,
        "index": 0,
        "parts": (
            {
                "kind": "text",
                "prompt": "frog",
                "negative": "",
                "guidance_rescale": 0.7,
                "guidance_start": 0.0,
                "guidance_stop": 1.0,
            },
        ),
    }


def test_zero_is_a_value():
    text = TextPart(prompt="", guidance_rescale=0.0)
    resolved = resolve(Recipe(guidance=0.0, seed=0, parts=(text,)), DEFAULTS, new_seed=lambda: 42)
    assert resolved.guidance == 0.0
    assert resolved.seed == 0
    assert resolved.text == ResolvedText(
        prompt="", negative="", guidance_rescale=0.0, guidance_start=0.0, guidance_stop=1.0
    )


def test_no_parts_is_unconditional():
    assert resolve(Recipe(), DEFAULTS).parts == ()


@pytest.mark.parametrize(
    ("asked", "drawn"), [(128, 128), (130, 128), (131, 128), (132, 136), (64, 64), (1024, 1024), (1021, 1024)]
)
def test_sizes_are_rounded(asked, drawn):
    resolved = resolve(Recipe(width=asked, height=200), DEFAULTS)
    assert (resolved.width, resolved.height) == (drawn, 200)


def test_rounding_stays_in_range():
    odd = replace(DEFAULTS, multiple=64, min_size=70, max_size=250)
    assert resolve(Recipe(width=70, height=250), odd).width == 128
    assert resolve(Recipe(width=70, height=250), odd).height == 192


def test_names_are_normalised():
    resolved = resolve(Recipe(sampler="DPM++ 2M", spacing="Karras"), DEFAULTS)
    assert (resolved.sampler, resolved.spacing) == ("dpmpp_2m", "karras")
    simple = resolve(Recipe(sampler="Euler a Automatic", spacing="Simple"), DEFAULTS)
    assert (simple.sampler, simple.spacing) == ("euler_a", "trailing")
    both = resolve(Recipe(sampler="DPM++ 2M Karras"), DEFAULTS)
    assert (both.sampler, both.spacing) == ("dpmpp_2m", "karras")
    assert resolve(Recipe(spacing="Automatic"), DEFAULTS).spacing == "trailing"


def test_eta_is_for_ddim_and_leaves_old_digests_alone():
    noisy = resolve(Recipe(eta=0.5), DEFAULTS)
    assert (noisy.sampler, noisy.eta) == ("ddim", 0.5)
    assert recipe_of(noisy).eta == 0.5
    assert noisy.model_dump()["eta"] == 0.5
    plain = resolve(Recipe(), DEFAULTS, new_seed=lambda: 42)
    assert resolve(Recipe(eta=0.0), DEFAULTS, new_seed=lambda: 42) == plain
    assert "eta" not in plain.model_dump()
    assert complaint(Recipe(eta=0.5, sampler="euler")) == (
        "eta: the sampler euler has none (got 0.5). Leave it out, or choose the sampler ddim."
    )


def test_a_fast_recipe_fills_what_is_open_with_the_models_own():
    def window(**fields):
        text = resolve(Recipe(fast=True, parts=(TextPart(prompt="frog", **fields),)), DEFAULTS).text
        assert text is not None
        return text.guidance_start, text.guidance_stop

    assert resolve(Recipe(fast=True), DEFAULTS).cache_interval == 4
    assert window() == (0.1, 0.6)
    assert resolve(Recipe(fast=True, cache_interval=1), DEFAULTS).cache_interval == 1
    assert resolve(Recipe(fast=True, cache_interval=7), DEFAULTS).cache_interval == 7
    # One end of a window closes it: what the recipe says never meets the model's other end.
    assert window(guidance_start=0.9) == (0.9, 1.0)
    assert window(guidance_stop=0.05) == (0.0, 0.05)
    assert window(guidance_start=0.0, guidance_stop=1.0) == (0.0, 1.0)


def test_an_interval_of_one_leaves_old_digests_alone():
    plain = resolve(Recipe(), DEFAULTS, new_seed=lambda: 42)
    assert resolve(Recipe(cache_interval=1), DEFAULTS, new_seed=lambda: 42) == plain
    assert "cache_interval" not in plain.model_dump()
    cached = resolve(Recipe(cache_interval=3), DEFAULTS)
    assert cached.model_dump()["cache_interval"] == 3
    assert recipe_of(cached).cache_interval == 3


def test_what_a_fast_recipe_became_is_what_is_asked_for_again():
    resolved = resolve(Recipe(fast=True, seed=3, parts=(FROG,)), DEFAULTS)
    again = recipe_of(resolved)
    assert not again.fast
    assert again.text is not None
    assert (again.cache_interval, again.text.guidance_start, again.text.guidance_stop) == (4, 0.1, 0.6)
    exact = resolve(Recipe(seed=3, parts=(FROG,)), DEFAULTS)
    assert recipe_of(exact).text == TextPart(prompt="frog", guidance_rescale=0.7)


def test_steps_beyond_the_schedule_are_found_early():
    short = replace(DEFAULTS, max_steps=10)
    assert resolve(Recipe(), short).steps == 10
    with pytest.raises(RecipeError, match=r"steps: must be at most 10 \(got 11\)\. The model bundled was"):
        resolve(Recipe(steps=11), short)


def test_mistakes_name_field_value_and_hint():
    assert complaint(Recipe(sampler="dpmp_2m")).startswith(
        "sampler: unknown sampler (got 'dpmp_2m'). Did you mean dpmpp_2m? Choose one of euler, "
    )
    assert complaint(Recipe(spacing="karas")).startswith(
        "spacing: unknown spacing (got 'karas'). Did you mean karras? Choose"
    )
    assert "Choose one of" in complaint(Recipe(sampler="\x00" * 900))
    assert complaint(Recipe(width=32)) == (
        "size: the width must be between 64 and 1024 (got 32). The model bundled is at its best at 128x128."
    )
    assert complaint(Recipe(height=2048)).startswith("size: the height must be between 64 and 1024 (got")
    assert complaint(Recipe(seed=MAX_SEED, count=2)).startswith("seed: the seeds of 2 pictures must lie")
    assert complaint(Recipe(), new_seed=lambda: -1).startswith("seed: ")


def test_settings_limit():
    limits = Settings(data_dir=Path("x"), max_pixels=20_000, max_count=3, max_steps=50, max_prompt_chars=10)
    small = Recipe(steps=50, count=3, parts=(TextPart(prompt="0123456789"),))
    assert resolve(small, DEFAULTS, settings=limits).count == 3
    assert complaint(Recipe(count=4), settings=limits) == "count: must be at most 3 (got 4). Give 1 to 3."
    assert complaint(Recipe(steps=51), settings=limits) == "steps: must be at most 50 (got 51). Give 1 to 50."
    assert complaint(Recipe(width=200), settings=limits) == (
        "size: more than 20000 pixels (got '200x128'). Give a smaller width or height."
    )
    assert complaint(Recipe(parts=(TextPart(prompt="x" * 11),)), settings=limits).startswith("prompt: is too")
    assert complaint(Recipe(parts=(TextPart(prompt="", negative="x" * 11),)), settings=limits).startswith(
        "negative: is too long"
    )


@quick
@given(recipes)
def test_resolving_is_repeatable_and_idempotent(recipe):
    resolved = resolve(
        recipe, DEFAULTS, new_seed=lambda: 7, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS
    )
    assert (
        resolve(recipe, DEFAULTS, new_seed=lambda: 7, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS)
        == resolved
    )
    assert (
        resolve(recipe_of(resolved), DEFAULTS, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS)
        == resolved
    )


def test_recipe_from_mapping():
    recipe = recipe_from_mapping({"steps": 4, "parts": [{"kind": "text", "prompt": "frog"}]})
    assert recipe == Recipe(steps=4, parts=(FROG,))
    with pytest.raises(RecipeError, match="steps: must be at least 1"):
        recipe_from_mapping({"steps": 0})


def test_random_seeds_differ():
    seeds = {random_seed() for _ in range(20)}
    assert len(seeds) > 1
    assert all(0 <= seed < 2**32 for seed in seeds)
