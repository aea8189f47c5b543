import numpy as np
import pytest
from PIL import Image

from sfumato.imaging.resize import lanczos, scaled, with_longer_side


def picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(12, 20), (7, 5), (3, 2), (6, 5)])
def test_a_picture_gets_the_size_asked_for(size: tuple[int, int]) -> None:
    larger = lanczos(picture(6, 5), *size)
    assert (larger.size, larger.mode) == (size, "RGB")


def test_its_own_size_leaves_it_as_it_is() -> None:
    small = picture(6, 5)
    assert np.array_equal(lanczos(small, 6, 5), small)


def test_an_edge_overshoots_as_a_sinc_of_three_lobes_does() -> None:
    pixels = np.full((1, 16, 3), 64, np.uint8)
    pixels[:, 8:] = 192
    row = np.asarray(lanczos(Image.fromarray(pixels), 64, 1))[0, :, 0].astype(int)
    assert row[:16].tolist() == [64] * 16  # further than three pixels from the edge
    assert row.min() < 60
    assert row.max() > 196


def test_no_side_below_one() -> None:
    with pytest.raises(ValueError, match="> 0"):
        lanczos(picture(6, 5), 0, 5)


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [((128, 96), 4, (512, 384)), ((3, 1), 1.5, (4, 2)), ((10, 1), 0.2, (2, 1))],
)
def test_both_sides_grow_alike(size: tuple[int, int], factor: float, expected: tuple[int, int]) -> None:
    assert scaled(*size, factor) == expected


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((128, 96), 512, (512, 384)), ((96, 128), 512, (384, 512)), ((7, 7), 100, (100, 100))],
)
def test_the_longer_side_is_the_one_that_counts(
    size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    assert with_longer_side(*size, side) == expected
