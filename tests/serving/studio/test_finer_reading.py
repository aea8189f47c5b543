"""The finer points as they are typed, and which of them a model is offered."""

from dataclasses import fields, replace
from typing import Any

import pytest

from sfumato.errors import RecipeError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.recipe.micro import Told
from sfumato.serving.studio.finer_forms import PLAIN, Finer
from sfumato.serving.studio.finer_reading import KIND_OF, not_offered, read, set_in, without, written
from tiny_models import tiny_settings

OWN = find_model(BUNDLED, tiny_settings()).defaults
SOME = Finer(
    rescale=0.7,
    apg=(0.0, 0.06, -0.5),
    refine_from=0.000125,
    hires=2.0,
    hires_method="latent",
    windows=True,
    clip_skip=2,
    zero_snr=False,
    variation_seed=2**62,
    original=(1024, 768),
    crop=(0, 64),
)
NOTHING = written(PLAIN)


def test_the_fields_are_those_of_the_form_in_their_order() -> None:
    assert tuple(KIND_OF) == tuple(one.name for one in fields(Finer))


@pytest.mark.parametrize("finer", [PLAIN, SOME, Finer(zero_snr=True, fast=True, vae="own")])
def test_what_is_asked_for_comes_back(finer: Finer) -> None:
    assert read(written(finer)) == finer


def test_an_emptied_field_is_one_that_was_never_filled() -> None:
    assert read(dict.fromkeys(KIND_OF)) == PLAIN
    assert set_in(PLAIN) == ()
    assert set_in(Finer(hires_keep=0.0, tiling="x")) == ("hires_keep", "tiling")


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("pag", " 3 ", 3.0),
        ("pag", ".5", 0.5),
        ("apg", "0", (0.0,)),
        ("apg", "0,0.06;-.5", (0.0, 0.06, -0.5)),
        ("original", "1024", (1024, 1024)),
        ("original", "1024 × 768", (1024, 768)),  # noqa: RUF001 - people paste the sign
        ("crop", "0,64", (0, 64)),
        ("variation_seed", "007", 7),
    ],
)
def test_what_is_typed_is_read(field: str, text: str, value: Any) -> None:
    assert vars(read({**NOTHING, field: text}))[field] == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("pag", "nan"),
        ("pag", "1e5"),
        ("pag", "3,5,1"),
        ("pag", "٣"),
        ("hires_steps", "9.5"),
        ("hires_steps", "9" * 40),
        ("apg", "0,,1"),
        ("original", "1024 x"),
        ("original", "9" * 9),
        ("crop", "64"),
        ("crop", "<b>"),
    ],
)
def test_what_is_none_is_named(field: str, text: str) -> None:
    with pytest.raises(RecipeError, match="is no") as caught:
        read({**NOTHING, field: text})
    assert caught.value.field == field.replace("_", "-")


SIZES = {"original", "crop", "target", "negative_original"}
SCORES = {"score", "negative_score"}


def test_models_are_offered_what_they_can_do() -> None:
    assert not_offered(OWN) == {"image_guidance"} | SIZES | SCORES
    assert not_offered(replace(OWN, middle_attends=False)) >= {"pag"}
    assert not_offered(replace(OWN, told=Told(sizes=True))) == {"image_guidance"} | SCORES
    assert not_offered(replace(OWN, told=Told(sizes=True, score=True))) == {"image_guidance", "target"}
    assert not_offered(replace(OWN, joint=True)) >= {"freeu", "pag", "cache_interval"}
    assert not_offered(replace(OWN, instructed=True)) == {"refiner", "refine_from"} | SIZES | SCORES
    assert not_offered(replace(OWN, upscales=4)) >= {"refiner", "refine_from"}


def test_a_refiner_is_told_what_the_model_is_not() -> None:
    xl, refiner = replace(OWN, told=Told(sizes=True)), replace(OWN, told=Told(sizes=True, score=True))
    assert not_offered(xl, refiner) == {"image_guidance"}
    assert not_offered(OWN, refiner) == {"image_guidance", "target"}


def test_what_is_not_offered_is_not_asked_for() -> None:
    finer = Finer(image_guidance=2.0, pag=3.0, score=5.0)
    assert without(finer, not_offered(OWN)) == Finer(pag=3.0)
