"""Annotators on drawn shapes, whose edges are known."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sfumato.imaging.annotators import ANNOTATORS, edges

Pixels = NDArray[np.uint8]


def disc(size: int = 128, radius: float = 40.0, inside: int = 220, outside: int = 30) -> Pixels:
    """A disc in the middle, its edge smoothed over one pixel as a camera would."""
    axis = np.arange(size) - (size - 1) / 2
    distance = np.hypot(axis[:, None], axis[None, :])
    share = np.clip(radius + 0.5 - distance, 0, 1)
    grey = outside + (inside - outside) * share
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


def radii(found: NDArray[np.bool_]) -> NDArray[np.float64]:
    middle = (found.shape[0] - 1) / 2
    rows, columns = np.nonzero(found)
    return np.hypot(rows - middle, columns - middle)


@pytest.mark.parametrize("radius", [7.0, 20.0, 40.25, 55.5])
def test_the_edge_of_a_disc_is_its_circle(radius: float) -> None:
    found = edges(disc(radius=radius))
    assert np.abs(radii(found) - radius).max() <= 1.5
    assert np.abs(radii(found).mean() - radius) < 0.5
    rows, columns = np.nonzero(found)
    angles = np.degrees(np.arctan2(rows - 63.5, columns - 63.5)) % 360
    gaps = np.diff(np.sort(np.concatenate([angles, [angles.min() + 360]])))
    assert gaps.max() <= math.degrees(2 / radius) + 1  # closed: never two pixels without one


def test_edges_are_one_pixel_thin() -> None:
    found = edges(disc())
    blocks = found[:-1, :-1] & found[1:, :-1] & found[:-1, 1:] & found[1:, 1:]
    assert not blocks.any()
    assert found.sum() < 2 * math.pi * 40 * 1.2  # the shortest chain of pixels has 0.9 of the length


def test_a_straight_edge_is_one_line_between_its_sides() -> None:
    pixels = np.zeros((32, 40, 3), np.uint8)
    pixels[:, 17:] = 255
    found = edges(pixels)
    assert (found.sum(axis=1) == 1).all()
    assert set(np.nonzero(found)[1]) <= {16, 17}
    np.testing.assert_array_equal(edges(pixels.transpose(1, 0, 2)).T.sum(axis=1), found.sum(axis=1))


def test_colours_of_one_brightness_have_an_edge() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:] = (200, 60, 60), (60, 131, 60)
    brightness = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.ptp(brightness) < 1
    assert edges(pixels)[:, 14:18].any(axis=1).all()


def test_faint_edges_count_only_beside_strong_ones() -> None:
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[40:, :] = 132  # faint all along
    assert not edges(pixels).any()
    ramp = np.clip(250 - 8 * np.arange(64), 132, None).astype(np.uint8)
    pixels[40:, :] = ramp[:, None]  # its beginning is strong, and the rest hangs on it
    assert edges(pixels)[38:42, 20:].any(axis=0).all()
    pixels[:, 28:34] = 100  # interrupted
    assert not edges(pixels)[36:, 40:].any()


def test_a_plain_or_noisy_picture_has_no_edges() -> None:
    assert not edges(np.full((20, 30, 3), 77, np.uint8)).any()
    noise = np.random.default_rng(0).integers(120, 132, (64, 64, 3), np.uint8)
    assert not edges(noise).any()


def test_a_long_line_is_followed_to_its_end() -> None:
    image = Image.new("RGB", (256, 256), (100, 100, 100))
    draw = ImageDraw.Draw(image)
    turns = [(128 + r * math.cos(r / 4), 128 + r * math.sin(r / 4)) for r in np.arange(4, 120, 0.05)]
    draw.line(turns, fill=(132, 132, 132), width=6)
    assert not edges(np.asarray(image)).any()
    for number, (start, end) in enumerate(pairwise(turns)):
        level = max(132, 255 - number // 2)  # strong in the middle alone
        draw.line((start, end), fill=(level,) * 3, width=6)
    found = edges(np.asarray(image))
    assert found[:, :40].any()
    assert found[:, -40:].any()


@pytest.mark.parametrize("name", ANNOTATORS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (64, 48), (50, 333)])
def test_every_annotator_keeps_size_and_kind(name: str, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = pixels.copy()
    result = ANNOTATORS[name](pixels)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(ANNOTATORS[name](pixels), result)


@pytest.mark.parametrize("name", ANNOTATORS)
def test_every_annotator_is_fast_enough(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (512, 512, 3), np.uint8)
    pixels = (disc(512, 180, 190, 10) + noise).astype(np.uint8)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        ANNOTATORS[name](pixels)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.5


def test_canny_draws_white_on_black() -> None:
    result = ANNOTATORS["canny"](disc())
    np.testing.assert_array_equal(result[..., 0] == 255, edges(disc()))
    assert set(np.unique(result)) == {0, 255}


def test_line_art_shows_dark_strokes_and_no_light_ones() -> None:
    pixels = np.full((64, 64, 3), 200, np.uint8)
    pixels[:, 20:22], pixels[:, 42:44] = 30, 255
    result = ANNOTATORS["lineart"](pixels)[..., 0]
    assert result[:, 20:22].min() > 120
    assert result[:, 42:44].max() < 10
    assert result[:, :10].max() == 0


def test_grey_is_brightness() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_array_equal(ANNOTATORS["grey"](pixels)[0, :, 0], [76, 150, 29, 255])


def test_a_colour_map_has_cells_of_the_mean_colour() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    result = ANNOTATORS["colour"](pixels)
    cells = result.reshape(16, 8, 24, 8, 3)
    np.testing.assert_array_equal(cells, np.broadcast_to(cells[:, :1, :, :1], cells.shape))
    means = pixels.reshape(16, 8, 24, 8, 3).mean(axis=(1, 3))
    assert np.abs(cells[:, 0, :, 0] - means).max() <= 1


def test_blur_leaves_colours_and_takes_details() -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[::2] = 200
    result = ANNOTATORS["blur"](pixels)
    assert np.ptp(result[32:-32].astype(int)) <= 2


def test_segments_are_areas_of_few_colours() -> None:
    image = Image.fromarray(disc(outside=40))
    ImageDraw.Draw(image).rectangle((0, 100, 127, 127), fill=(30, 160, 60))
    noise = np.random.default_rng(0).integers(-8, 9, (128, 128, 3))
    noisy = np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)
    result = ANNOTATORS["segments"](noisy)
    assert len(np.unique(result.reshape(-1, 3), axis=0)) <= 8
    for row, column, colour in ((64, 64, (220, 220, 220)), (115, 10, (30, 160, 60)), (5, 5, (40, 40, 40))):
        assert np.abs(result[row, column].astype(int) - colour).max() <= 12
