"""The extras part: neutral values, limits, A1111's text, and what a model cannot do."""

from typing import Any

import pytest
from pydantic import ValidationError

from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import from_json, from_toml, to_json, to_toml
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU, from_pairs, no_tiles, settled, to_pairs
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import TextPart, WindowsPart
from sfumato.recipe.resolve import recipe_from_mapping, resolve

EVERYTHING = ExtrasPart(
    clip_skip=2,
    tiling="both",
    apg=Apg(eta=0.25, norm=0.0, momentum=-0.75),
    threshold=0.995,
    pag=2.5,
    freeu=FreeU(b1=1.2, b2=1.4, s1=0.9, s2=0.2),
)
NEUTRAL = ExtrasPart(
    clip_skip=1,
    apg=Apg(eta=1.0, norm=0.0, momentum=0.0),
    pag=0.0,
    freeu=FreeU(b1=1.0, b2=1.0, s1=1.0, s2=1.0),
)


def defaults(**fields: Any) -> ModelDefaults:
    return ModelDefaults(
        **{
            "name": "m",
            "digest": "d",
            "width": 64,
            "height": 64,
            "multiple": 8,
            "min_size": 8,
            "max_size": 512,
            "steps": 4,
            "sampler": "ddim",
            "spacing": "trailing",
            "guidance": 3.0,
            "guidance_rescale": 0.0,
            "samplers": ("ddim",),
            "spacings": ("trailing",),
            **fields,
        }
    )


def resolved(*parts: Any, **fields: Any) -> Resolved:
    return resolve(Recipe(seed=1, parts=(TextPart(prompt="a frog"), *parts)), defaults(**fields))


def test_neutral_values_resolve_to_the_plain_drawing() -> None:
    assert to_json(resolved(NEUTRAL)) == to_json(resolved())
    assert settled(NEUTRAL, "m", 12, attends=True) is None


def test_what_is_off_is_not_written() -> None:
    part = resolved(ExtrasPart(pag=2.0, clip_skip=1)).extras
    assert part is not None
    assert part.model_dump() == {"kind": "extras", "pag": 2.0}


def test_a_recipe_comes_back_from_its_resolved_one_and_from_files() -> None:
    run = resolved(EVERYTHING)
    assert resolve(recipe_of(run), defaults()) == run
    assert from_json(to_json(run), Resolved) == run
    assert from_toml(to_toml(recipe_of(run)), Recipe) == recipe_of(run)


def test_the_text_that_a1111_reads_has_its_names() -> None:
    text = to_parameters(resolved(EVERYTHING))
    assert "Clip skip: 2" in text
    assert "Tiling: True" in text
    assert parse_parameters(text).extras == EVERYTHING
    assert to_pairs(ExtrasPart(tiling="x")) == {"Tiling": "x"}


def test_other_programs_say_false_and_one() -> None:
    assert from_pairs({"Tiling": "False", "Steps": "20"}) is None
    assert from_pairs({"Clip skip": "2"}) == {"kind": "extras", "clip_skip": 2}


@pytest.mark.parametrize(
    ("pairs", "named"),
    [({"Clip skip": "two"}, "Clip skip"), ({"PAG scale": "x"}, "PAG scale"), ({"FreeU": "[1]"}, "FreeU")],
)
def test_text_that_cannot_be_read_is_named(pairs: dict[str, str], named: str) -> None:
    with pytest.raises(RecipeError) as caught:
        from_pairs(pairs)
    assert caught.value.field == named


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"clip_skip": 0}, "extras.clip_skip"),
        ({"clip_skip": 2.0}, "extras.clip_skip"),
        ({"tiling": "z"}, "extras.tiling"),
        ({"threshold": 0.3}, "extras.threshold"),
        ({"threshold": 1.1}, "extras.threshold"),
        ({"pag": -1.0}, "extras.pag"),
        ({"pag": float("nan")}, "extras.pag"),
        ({"apg": {"momentum": 1.0}}, "extras.apg.momentum"),
        ({"apg": {"eta": -0.1}}, "extras.apg.eta"),
        ({"freeu": {"b1": 1.0, "b2": 1.0, "s1": 0.0, "s2": 1.0}}, "extras.freeu.s1"),
        ({"freeu": {"b1": 1.0}}, "extras.freeu.b2"),
        ({"pags": 1.0}, "extras.pags"),
    ],
)
def test_bad_values_are_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from_mapping({"parts": [{"kind": "extras", **fields}]})
    assert caught.value.field == named
    assert "\n" not in str(caught.value)


def test_more_layers_than_there_are_cannot_be_skipped() -> None:
    assert resolved(ExtrasPart(clip_skip=3), text_layers=3).extras == ExtrasPart(clip_skip=3)
    with pytest.raises(RecipeError, match="has 3 layers") as caught:
        resolved(ExtrasPart(clip_skip=4), text_layers=3)
    assert caught.value.field == "clip_skip"


def test_a_middle_without_self_attention_cannot_be_perturbed() -> None:
    with pytest.raises(RecipeError, match="no self-attention") as caught:
        resolved(ExtrasPart(pag=1.0), middle_attends=False)
    assert caught.value.field == "pag"
    assert resolved(ExtrasPart(pag=0.0), middle_attends=False).extras is None


def test_tiles_and_parts_that_make_none() -> None:
    assert no_tiles(ExtrasPart(pag=1.0), ["windows"]) is None
    assert no_tiles(ExtrasPart(tiling="x"), ["text", "image", "control"]) is None
    with pytest.raises(ValidationError, match="tiling does not go together with a part windows"):
        Recipe(parts=(WindowsPart(), ExtrasPart(tiling="x")))
