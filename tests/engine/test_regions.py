"""Regions: their maps, and what they make of a drawing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.engine.regions import band_maps, region_maps
from sfumato.imaging.inputs import NO_INPUTS, read_inputs
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Region, RegionsPart
from sfumato.recipe.resolve_edits import resolve_regions
from tiny_models import tiny_settings


def maps(*areas: str, feather: float = 0.0, size: int = 16, ratio: float = 1.0) -> np.ndarray:
    part = RegionsPart(
        regions=tuple(Region(prompt="a", area=area, ratio=ratio) for area in areas), feather=feather
    )
    return region_maps(resolve_regions(part, 8 * size, 8 * size, {}), size, size, NO_INPUTS)[:, 0, 0]


def test_a_region_without_feather_is_its_rectangle() -> None:
    (left,) = maps("left")
    assert (left[:, :8] == 1).all()
    assert (left[:, 8:] == 0).all()
    (part,) = maps("0.25,0.5,0.25,0.25")
    assert part.sum() == pytest.approx(16)
    assert (part[8:12, 4:8] == 1).all()


def test_an_edge_inside_a_latent_counts_by_what_it_covers() -> None:
    (part,) = maps("4,0,8x128")  # half of the first latent and half of the second
    assert part[0, :3].tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize("feather", [0.0, 0.1, 0.5])
def test_neighbours_sum_to_one(feather: float) -> None:
    both = maps("left", "right", feather=feather)
    assert np.allclose(both.sum(axis=0), 1, atol=1e-6)
    assert both[0, 0, 0] == 1
    assert (np.diff(both[0, 0]) <= 0).all()


def test_where_regions_overlap_they_share() -> None:
    both = maps("left", "top")
    assert both[:, 0, 0].tolist() == [0.5, 0.5]
    assert both[:, 15, 0].tolist() == [1.0, 0.0]
    assert both[:, 15, 15].tolist() == [0.0, 0.0]


def test_a_ratio_leaves_the_rest_to_the_main_prompt() -> None:
    assert maps("all", ratio=0.75).max() == 0.75


def test_bands_divide_the_middle_of_the_picture_from_above() -> None:
    above, below = band_maps((0.5, 0.5), 20, 3)[:, 0, 0]
    assert above.shape == (20, 3)
    assert np.allclose(above + below, 1, atol=1e-6)
    assert np.allclose(above, below[::-1], atol=1e-6)
    assert (above[:8] == 1).all()
    assert (above[12:] == 0).all()
    assert (above == above[:, :1]).all()


def test_bands_are_as_high_as_their_shares() -> None:
    shares = (0.2, 0.5, 0.3)
    bands = band_maps(shares, 100, 1)[:, 0, 0, :, 0]
    assert np.allclose(bands.sum(axis=0), 1, atol=1e-6)
    assert bands.min() >= 0
    high = bands[:, 15:85].mean(axis=1)  # what lies between the margins
    assert high == pytest.approx(shares, abs=0.02)
    assert (bands[0, :15] > 0.5).all()
    assert (bands[2, 85:] > 0.5).all()


def test_a_band_of_nothing_is_nowhere_and_a_band_of_all_is_everywhere() -> None:
    assert np.allclose(band_maps((1.0, 0.0), 16, 2)[0], 1)
    assert np.allclose(band_maps((0.0, 1.0), 16, 2)[0], 0)


def test_a_mask_is_stretched_over_the_drawing(tmp_path: Path) -> None:
    white = np.zeros((10, 20, 3), np.uint8)
    white[:, 10:] = 255
    Image.fromarray(white).save(tmp_path / "right.png")
    part = RegionsPart(regions=(Region(prompt="a", source=str(tmp_path / "right.png")),))
    inputs = read_inputs(Recipe(parts=(part,)), tiny_settings())
    (map_,) = region_maps(resolve_regions(part, 128, 128, inputs.facts), 16, 16, inputs)[:, 0, 0]
    assert (map_[:, 8:] == 1).all()
    assert (map_[:, :8] == 0).all()
