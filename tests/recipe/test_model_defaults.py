"""What models say about themselves: what is true of one that says nothing else."""

from dataclasses import fields

from recipe.strategies import DEFAULTS
from sfumato.models.load import find_model
from sfumato.recipe.model_defaults import ModelDefaults
from tiny_models import tiny_folder, tiny_settings


def test_every_field_without_a_default_is_said_by_a_model_that_is_found() -> None:
    found = find_model(str(tiny_folder()), tiny_settings()).defaults
    assert isinstance(found, ModelDefaults)
    assert found.min_size <= found.width <= found.max_size
    assert found.sampler in found.samplers
    assert found.spacing in found.spacings
    assert len(found.digest) == 64


def test_a_model_draws_from_words_unless_it_says_otherwise() -> None:
    plain = {one.name: one.default for one in fields(ModelDefaults)}
    assert plain["upscales"] == 0
    assert plain["mix_mode"] == "branches"
    assert not DEFAULTS.told.sizes
