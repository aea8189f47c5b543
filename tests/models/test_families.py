"""Families told from the shapes of real networks of full size, of which no weight is made."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.models.families import FAMILIES, OWN, Family, Known, family_of, seen, structure_of_diffusers
from sfumato.models.folders import find_folder
from sfumato.models.original.structure import Level
from sfumato.models.safetensors_header import read_header
from sfumato.settings import Settings
from sparse_models import diffusers_shapes, structure


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_told_from_its_shapes_and_has_its_number_of_parameters(family: Family) -> None:
    shapes = diffusers_shapes(structure(family.name))
    found = structure_of_diffusers(shapes)
    assert found is not None
    assert replace(found, crossing=structure(family.name).crossing) == structure(family.name)
    known = family_of(found)
    assert known is not None
    assert known.family is family
    assert sum(math.prod(shape) for shape in shapes.values()) == family.parameters


def test_no_two_families_look_alike() -> None:
    for family in FAMILIES:
        assert [one.name for one in FAMILIES if one.fits(structure(family.name))] == [family.name]


@pytest.mark.parametrize(
    ("name", "more", "guidance", "prediction", "found"),
    [
        ("sd1", 5, None, None, "sd1-inpaint"),
        ("sd1", 4, None, None, "sd1-pix2pix"),
        ("sd1", 0, 256, None, "sd1-lcm"),
        ("sd2", 0, None, "epsilon", "sd2-base"),
        ("sd2", 0, None, "v_prediction", "sd2-v"),
        ("sd2", 0, None, None, "sd2"),
        ("sd2", 5, None, None, "sd2-inpaint"),
        ("sdxl", 5, None, None, "sdxl-inpaint"),
        ("ssd-1b", 0, 256, None, "ssd-1b-lcm"),
        ("small-sd", 0, None, "v_prediction", "small-sd"),
    ],
)
def test_what_a_network_takes_makes_the_variant(
    name: str, more: int, guidance: int | None, prediction: str | None, found: str
) -> None:
    known = family_of(structure(name, more=more, guidance=guidance), prediction)
    assert known is not None
    assert known.name == found


def test_strangers_are_described_and_never_guessed() -> None:
    odd = replace(structure("sdxl"), middle=9)
    assert family_of(odd) is None
    assert seen(odd).startswith(
        "levels of 320, 640, 1280 channels, 9 transformers in the middle, 2048 numbers"
    )
    assert family_of(structure("sd1", more=3)) is None
    assert family_of(replace(structure("sd1"), out_channels=8)) is None
    first, *rest = structure("sd1").levels
    assert family_of(replace(structure("sd1"), levels=(Level(256, first.down, first.up), *rest))) is None


def test_what_is_no_unet_has_no_structure() -> None:
    assert structure_of_diffusers({}) is None
    assert structure_of_diffusers({"conv_in.weight": (320, 4, 3, 3)}) is None


def test_the_bundled_model_is_of_our_own_family(tmp_path: Path) -> None:
    folder = find_folder("bundled", Settings(data_dir=tmp_path))
    shapes = read_header(folder / "unet" / "diffusion_pytorch_model.safetensors").shapes
    unet = structure_of_diffusers(shapes)
    assert unet is not None
    assert family_of(unet) == Known(OWN, "sfumato", "Sfumato's own, of captioned scenes")
    assert sum(math.prod(shape) for shape in shapes.values()) == OWN.parameters
    assert family_of(replace(unet, in_channels=9)) is None
    assert family_of(replace(unet, out_channels=4)) is None
    assert not any(one.fits(unet) for one in FAMILIES)
