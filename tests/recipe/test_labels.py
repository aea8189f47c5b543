import pytest

from sfumato.recipe.labels import (
    ETA_SAMPLERS,
    SAMPLER_LABELS,
    SPACING_LABELS,
    find_name,
    sampler_name,
    spacing_name,
    split_sampler,
)
from sfumato.samplers.solvers import SOLVERS
from sfumato.samplers.spacings import SPACINGS


@pytest.mark.parametrize("name", SAMPLER_LABELS)
def test_samplers_round_trip(name):
    assert sampler_name(SAMPLER_LABELS[name]) == name
    assert sampler_name(name) == name


@pytest.mark.parametrize("name", SPACING_LABELS)
def test_spacings_round_trip(name):
    assert spacing_name(SPACING_LABELS[name]) == name
    assert spacing_name(name) == name


def test_spelling_is_forgiving():
    assert find_name(" EULER A ", SAMPLER_LABELS, SAMPLER_LABELS) == "euler_a"
    assert find_name("dpmpp-2m", SAMPLER_LABELS, SAMPLER_LABELS) == "dpmpp_2m"
    assert find_name("dpm++ 2m sde", SAMPLER_LABELS, SAMPLER_LABELS) == "dpmpp_2m_sde"
    assert find_name("dpm", SAMPLER_LABELS, SAMPLER_LABELS) is None
    assert find_name("euler", ["heun"], SAMPLER_LABELS) is None
    assert find_name("custom", ["custom"], SAMPLER_LABELS) == "custom"


def test_other_programs_words():
    assert spacing_name("Automatic") is None
    assert spacing_name("align_your_steps") == "ays"
    assert spacing_name("Simple") == "trailing"
    assert spacing_name("Normal") == "linspace"
    assert spacing_name("KL Optimal") == "KL Optimal"
    assert sampler_name("DPM adaptive") == "DPM adaptive"


def test_old_labels_hold_the_spacing():
    assert split_sampler("DPM++ 2M Karras") == ("dpmpp_2m", "karras")
    assert split_sampler("DPM++ 2M SDE Exponential") == ("dpmpp_2m_sde", "exponential")
    assert split_sampler("Euler a") == ("euler_a", None)
    assert split_sampler("DDIM") == ("ddim", None)
    assert split_sampler("Restart Karras") == ("Restart Karras", None)
    assert split_sampler("") == ("", None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DPM++2M", ("dpmpp_2m", None)),
        ("DPM++ 2M SDE Simple", ("dpmpp_2m_sde", "trailing")),
        ("dpm++ 2m sde exponential", ("dpmpp_2m_sde", "exponential")),
        ("DPM++ SDE SGM Uniform", ("dpmpp_sde", "sgm_uniform")),
        ("Euler Align Your Steps", ("euler", "ays")),
        ("Euler a Automatic", ("euler_a", None)),
        ("euler_a karras", ("euler_a", "karras")),
        ("Heun Normal", ("heun", "linspace")),
    ],
)
def test_a_label_may_end_in_a_spacing(written, meant):
    assert split_sampler(written) == meant


def test_eta_is_of_the_sampler_that_has_one():
    assert tuple(name for name, row in SOLVERS.items() if row.with_eta(0.5) != row) == ETA_SAMPLERS


def test_labels_agree_with_the_samplers():
    """The tables live in two layers, as a recipe may not import numpy; here they are one."""
    assert {name: row.label for name, row in SOLVERS.items()} == dict(SAMPLER_LABELS)
    assert {name: row.label for name, row in SPACINGS.items()} == dict(SPACING_LABELS)
