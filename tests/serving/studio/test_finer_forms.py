"""The finer points and recipes: each field says what the command line's option says."""

from dataclasses import replace

import pytest

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import digest
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.micro import MicroPart, Told
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.of_model import ResolvedVae
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import recipe_from_mapping, resolve
from sfumato.recipe.sources import SourceFacts
from sfumato.serving.studio.edit_forms import Edit, recipe_of_edit
from sfumato.serving.studio.finer_forms import PLAIN, Finer, finer_of, lost_in, with_finer
from sfumato.serving.studio.finer_reading import KIND_OF, set_in
from sfumato.serving.studio.forms import Create, recipe_of_create
from tiny_models import tiny_settings

OWN = find_model(BUNDLED, tiny_settings()).defaults
XL = replace(OWN, told=Told(sizes=True))
REFINER = replace(OWN, name="second", digest="b" * 64, told=Told(sizes=True, score=True))
INSTRUCTED = replace(OWN, instructed=True)
SOURCES = {"picture.png": SourceFacts("a" * 64, "picture.png", 128, 128, has_alpha=False)}

#: The form, the options that say the same, and the model they are said to.
SAME: dict[str, tuple[Finer, Flags, ModelDefaults]] = {
    "rescale": (Finer(rescale=0.7), Flags(guidance_rescale="0.7"), OWN),
    "image_guidance": (Finer(image_guidance=1.8), Flags(image_guidance="1.8"), INSTRUCTED),
    "apg": (Finer(apg=(0.0, 0.05, -0.25)), Flags(apg="0,0.05,-0.25"), OWN),
    "apg alone": (Finer(apg=(0.5,)), Flags(apg="0.5"), OWN),
    "threshold": (Finer(threshold=0.995), Flags(threshold="0.995"), OWN),
    "pag": (Finer(pag=3.0), Flags(pag="3"), OWN),
    "freeu": (Finer(freeu=(1.2, 1.4, 0.9, 0.2)), Flags(freeu="1.2,1.4,0.9,0.2"), OWN),
    "refiner": (Finer(refiner="second"), Flags(refiner="second"), XL),
    "refine_from": (
        Finer(refiner="second", refine_from=0.6),
        Flags(refiner="second", refine_from="0.6"),
        XL,
    ),
    "vae": (
        Finer(vae="better"),
        Flags(vae="better"),
        replace(OWN, vae=ResolvedVae(name="better", digest="c" * 64)),
    ),
    "clip_skip": (Finer(clip_skip=2), Flags(clip_skip="2"), OWN),
    "hires": (Finer(hires=2.0), Flags(hires="2"), OWN),
    "hires_strength": (Finer(hires=2.0, hires_strength=0.0), Flags(hires="2", hires_strength="0"), OWN),
    "hires_method": (Finer(hires=2.0, hires_method="lanczos"), Flags(hires="2", hires_method="lanczos"), OWN),
    "hires_steps": (Finer(hires=2.0, hires_steps=9), Flags(hires="2", hires_steps="9"), OWN),
    "hires_passes": (Finer(hires=2.0, hires_passes=2), Flags(hires="2", hires_passes="2"), OWN),
    "hires_keep": (Finer(hires=2.0, hires_keep=0.0), Flags(hires="2", hires_keep="0"), OWN),
    "windows": (Finer(windows=True), Flags(windows="auto"), OWN),
    "window": (Finer(windows=True, window=96), Flags(windows="96"), OWN),
    "overlap": (Finer(windows=True, overlap=0.25), Flags(windows="auto", window_overlap="0.25"), OWN),
    "overlap of hires": (Finer(hires=2.0, overlap=0.25), Flags(hires="2", window_overlap="0.25"), OWN),
    "both": (
        Finer(hires=2.0, windows=True, window=96, overlap=0.25),
        Flags(hires="2", windows="96", window_overlap="0.25"),
        OWN,
    ),
    "fast": (Finer(fast=True), Flags(fast=True), OWN),
    "cache_interval": (Finer(cache_interval=4), Flags(cache_interval="4"), OWN),
    "eta": (Finer(eta=0.5), Flags(eta="0.5"), replace(OWN, sampler="ddim")),
    "tiling": (Finer(tiling="x"), Flags(tiling="x"), OWN),
    "prediction": (Finer(prediction="v"), Flags(prediction="v"), OWN),
    "zero_snr": (Finer(zero_snr=False), Flags(zero_snr=False), OWN),
    "variation": (Finer(variation=0.2), Flags(variation="0.2"), OWN),
    "variation_seed": (
        Finer(variation=0.2, variation_seed=11),
        Flags(variation="0.2", variation_seed="11"),
        OWN,
    ),
    "original": (Finer(original=(512, 768)), Flags(original_size="512x768"), XL),
    "crop": (Finer(crop=(0, 64)), Flags(crop="0,64"), XL),
    "target": (Finer(target=(640, 512)), Flags(target_size="640x512"), XL),
    "negative_original": (Finer(negative_original=(256, 256)), Flags(negative_original_size="256"), XL),
    "score": (Finer(score=7.5), Flags(score="7.5"), REFINER),
    "negative_score": (Finer(negative_score=1.5), Flags(negative_score="1.5"), REFINER),
}


def resolved(recipe: Recipe, own: ModelDefaults) -> Resolved:
    own = replace(own, schedule=recipe.schedule)  # as finding the model gives it
    return resolve(recipe, own, new_seed=lambda: 7, sources=SOURCES, refiner=REFINER)


def flagged(flags: Flags, *, image: bool) -> Recipe:
    words = {
        "prompt": "a frog",
        "image": "picture.png" if image else None,
        "strength": "0.6" if image else None,
    }
    return with_flags(Recipe(), replace(flags, **words))


def test_every_field_is_compared() -> None:
    assert {name for finer, _, _ in SAME.values() for name in set_in(finer)} == set(KIND_OF)


@pytest.mark.parametrize("name", SAME)
def test_the_page_and_the_command_line_draw_the_same(name: str) -> None:
    finer, flags, own = SAME[name]
    edit = Edit("change", "a frog", image="picture.png", strength=0.6, finer=finer)
    changed = digest(resolved(flagged(flags, image=True), own))
    assert digest(resolved(recipe_of_edit(edit), own)) == changed
    if own.instructed:  # it draws from pictures alone
        return
    made = digest(resolved(recipe_of_create(Create("a frog", finer=finer)), own))
    assert made == digest(resolved(flagged(flags, image=False), own))
    plain = Recipe(parts=(TextPart(prompt="a frog"),))
    assert made != digest(resolved(plain, own)) or own.vae is not None


@pytest.mark.parametrize("name", SAME)
def test_what_is_asked_for_comes_back_from_the_recipe(name: str) -> None:
    finer, _, _ = SAME[name]
    recipe = recipe_of_create(Create("a frog", finer=finer))
    back = finer_of(recipe)
    # Numbers that are left out of a group are what the group has without them.
    assert recipe_of_create(Create("a frog", finer=back)) == recipe
    if name not in ("apg alone", "refiner"):
        assert back == finer
    assert lost_in(recipe) == ()


@pytest.mark.parametrize("name", SAME)
def test_a_picture_brings_back_what_drew_it(name: str) -> None:
    finer, flags, own = SAME[name]
    first = resolved(flagged(flags, image=own.instructed), own)
    recipe = recipe_of(first)
    assert lost_in(recipe) == ()
    again = Create("a frog", seed=7, finer=finer_of(recipe))
    if own.instructed:
        assert again.finer.image_guidance == finer.image_guidance
    else:
        assert digest(resolved(recipe_of_create(again), own)) == digest(first)


def test_as_it_opens_it_changes_nothing() -> None:
    fields = {"model": "bundled", "parts": [{"kind": "text", "prompt": "a frog"}]}
    assert recipe_from_mapping(with_finer(fields, PLAIN)) == recipe_from_mapping(fields)


@pytest.mark.parametrize(
    ("finer", "problem"),
    [
        (Finer(refine_from=0.8), "refine-from: there is no refiner"),
        (Finer(hires_strength=0.2), "hires-strength: nothing is drawn again"),
        (Finer(hires_method="latent"), "hires-method: nothing is drawn again"),
        (Finer(window=96), "windows: there are no windows"),
        (Finer(overlap=0.25), "window-overlap: there are no windows"),
        (Finer(variation_seed=3), "variation-seed: there is no variation"),
        (Finer(apg=(0.0, 0.1, 0.2, 0.3)), "apg: must be numbers for eta, norm, momentum"),
        (Finer(freeu=(1.2, 1.4, 0.9)), "freeu: must be numbers for b1, b2, s1, s2"),
        (Finer(pag=-1.0), "pag"),
        (Finer(clip_skip=0), "clip_skip"),
        (Finer(hires=2.0, hires_steps=0), "hires.steps"),
        (Finer(cache_interval=99), "cache_interval"),
    ],
)
def test_what_cannot_be_is_refused_by_the_field(finer: Finer, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        recipe_of_create(Create("a frog", finer=finer))


def test_a_mask_and_a_larger_drawing_are_refused_as_the_recipe_says() -> None:
    form = Edit("repaint", "a frog", image="picture.png", mask="mask.png", finer=Finer(hires=2.0))
    with pytest.raises(RecipeError, match="hires draws all anew"):
        recipe_of_edit(form)


def test_what_has_no_field_is_named() -> None:
    text = TextPart(prompt="a frog")
    assert lost_in(Recipe(parts=(text, MicroPart(negative_target=(512, 512))))) == ("micro",)
    windows, hires = WindowsPart(size=96, overlap=0.5), HiresPart(scale=2.0, window=128, overlap=0.5)
    assert lost_in(Recipe(parts=(text, windows, hires))) == ("hires",)
    assert lost_in(Recipe(parts=(text, hires))) == ()
