from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.strategies import DEFAULTS, any_text, prompt_recipes, quick, resolveds
from sfumato.errors import RecipeError
from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.recipe.resolve import resolve


def parameters(**fields):
    return to_parameters(resolve(Recipe(seed=1, **fields), DEFAULTS))


def test_layout_is_what_other_programs_read():
    text = TextPart(prompt="a photo of (a cat:1.2),\n🦊", negative="blurry, lowres")
    assert parameters(sampler="dpmpp_2m", spacing="karras", guidance=7, width=512, parts=(text,)) == (
        "a photo of (a cat:1.2),\n🦊\n"
        "Negative prompt: blurry, lowres\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x128, "
        "Model hash: 0123456789, Model: bundled, Guidance rescale: 0.7, Version: Sfumato"
    )


def test_extras_appear_when_they_matter():
    text = TextPart(prompt="frog", guidance_start=0.1, guidance_stop=0.5)
    mix = MixPart(prompts=(MixPrompt(prompt="rabbit", ratio=0.5),))
    line = parameters(parts=(text, mix)).splitlines()[-1]
    assert "Guidance start: 0.1, Guidance stop: 0.5" in line
    assert 'Mix: "{\\"mode\\": \\"branches\\"' in line
    assert "Unconditional: yes" in parameters()
    assert "Exact" not in line


def test_eta_is_ddims():
    written = parameters(sampler="ddim", eta=0.5)
    assert "Eta: 0.5" in written
    assert parse_parameters(written).eta == 0.5
    assert "Eta" not in parameters(sampler="ddim")
    assert parse_parameters("x\nSteps: 4, Sampler: DDIM, Eta DDIM: 0.25, Seed: 1").eta == 0.25
    assert parse_parameters("x\nSteps: 4, Sampler: Euler a, Eta: 0.67, Seed: 1").eta is None


def test_a_cache_interval_is_written_where_there_is_one():
    written = parameters(cache_interval=3)
    assert "Cache interval: 3" in written
    assert parse_parameters(written).cache_interval == 3
    assert "Cache" not in parameters(cache_interval=1)
    with pytest.raises(RecipeError, match=r"cache_interval: must be at most 16 \(got 99\). Give 1 to 16."):
        parse_parameters("x\nSteps: 4, Sampler: DDIM, Cache interval: 99, Seed: 1")


def test_a_prompt_that_the_layout_would_change_is_written_twice():
    tricky = TextPart(prompt=" a\nNegative prompt: b\x00")
    written = parameters(parts=(tricky,))
    assert "Exact prompt: " in written
    assert "\x00" not in written
    assert parse_parameters(written).text == tricky.model_copy(update={"guidance_rescale": 0.7})


@quick
@given(resolveds(prompt_recipes), any_text)
def test_round_trip(resolved, software):
    written = to_parameters(resolved, software=software)
    assert parse_parameters(written) == recipe_of(single(resolved))
    assert "\x00" not in written


@quick
@given(resolveds(prompt_recipes))
def test_what_is_read_resolves_to_the_same_picture(resolved):
    again = resolve(parse_parameters(to_parameters(resolved)), DEFAULTS)
    assert Resolved(**{**dict(again), "model": resolved.model}) == single(resolved)


@quick
@given(resolveds())
def test_a_drawing_from_a_picture_has_its_prompt_and_numbers(resolved):
    recipe = parse_parameters(to_parameters(resolved))
    edits = ("regions", "control", "image", "mask", "extend")
    kept = [part for part in recipe_of(single(resolved)).parts if part.kind not in edits]
    assert recipe == recipe_of(single(resolved)).model_copy(update={"parts": tuple(kept)})


def test_another_programs_text():
    recipe = parse_parameters(
        "masterpiece, <lora:foo:0.8>\n a dog \nNegative prompt: blurry,\nlowres\n"
        "Steps: 20, Sampler: DPM++ 2M SDE, Schedule type: Align Your Steps, CFG scale: 7.5, Seed: 1234, "
        "Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Denoising strength: 0.5, "
        'Clip skip: 2, Lora hashes: "foo: 1234abcd5678, bar: 12", TI hashes: "a\\"b", Version: v1.10.1'
    )
    assert recipe == Recipe(
        model="v1-5-pruned-emaonly",
        steps=20,
        sampler="dpmpp_2m_sde",
        spacing="ays",
        guidance=7.5,
        seed=1234,
        width=512,
        height=768,
        parts=(
            TextPart(prompt="masterpiece, \na dog", negative="blurry,\nlowres"),
            ExtrasPart(clip_skip=2),
            AdaptersPart(adapters=(Adapter(name="foo", weight=0.8, digest="1234abcd5678"),)),
        ),
    )


def test_old_text_names_the_spacing_with_the_sampler():
    recipe = parse_parameters("fox\nSteps: 4, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 64x64")
    assert (recipe.sampler, recipe.spacing) == ("dpmpp_2m", "karras")
    assert parse_parameters("Steps: 4, Sampler: Euler, Schedule type: Automatic, Seed: 1").spacing is None


def test_text_without_pairs_is_prompt():
    for text in ("a fox", "time: 12, a fox", "", "fox\nwolf: 3"):
        assert parse_parameters(text) == Recipe(parts=(TextPart(prompt=text),))


def test_unknown_names_are_left_to_resolve():
    recipe = parse_parameters("fox\nSteps: 4, Sampler: DPM adaptiv, Seed: 1, Size: 128x128")
    assert recipe.sampler == "DPM adaptiv"
    with pytest.raises(RecipeError, match="unknown sampler"):
        resolve(recipe, DEFAULTS)


@pytest.mark.parametrize(
    ("pair", "field"),
    [
        ("Steps: many", "Steps"),
        ("Steps: 0", "steps"),
        ("CFG scale: x", "CFG scale"),
        ("CFG scale: nan", "guidance"),
        ("Seed: -1", "seed"),
        ("Size: big", "Size"),
        ("Size: 0x64", "width"),
        ("Mix: 3", "Mix"),
        ("Mix: {", "Mix"),
        ("Exact prompt: x", "Exact prompt"),
        ("Exact prompt: 3", "text.prompt"),
        ("Guidance stop: 2", "text.guidance_stop"),
        ("Steps: " + "9" * 5000, "Steps"),
        ("Mix: " + "[" * 100_000, "Mix"),
    ],
    ids=lambda value: value[:20],
)
def test_nothing_is_trusted(pair, field):
    with pytest.raises(RecipeError) as caught:
        parse_parameters(f"fox\na fox: 1, b fox: 2, c fox: 3, {pair}")
    assert caught.value.field == field


@quick
@given(st.one_of(any_text, any_text.map(lambda text: f"fox\nSteps: 3, Seed: 4, Size: 64x64, {text}")))
def test_any_text_reads_or_is_a_recipe_error(text):
    with suppress(RecipeError):
        parse_parameters(text)


@pytest.mark.parametrize("unit", ["a ", "a: ", 'a: "', 'a:"\\"', ",", "ab:,", "Negative prompt:", " \n"])
def test_long_text_is_read_in_linear_time(unit):
    parse_parameters(unit * (200_000 // len(unit)))
