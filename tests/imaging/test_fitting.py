"""Pictures brought to other sizes, and the windows that are cut out of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.imaging.fitting import (
    Window,
    extend,
    fit,
    match_colours,
    resize,
    resize_mask,
    surroundings,
)

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (24, 40, 3), np.uint8)


def thirds(width: int, height: int) -> NDArray[np.uint8]:
    """Red, green and blue side by side."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for band in range(3):
        pixels[:, band * width // 3 : (band + 1) * width // 3, band] = 200
    return pixels


def colour_at(pixels: NDArray[np.uint8], row: int, column: int) -> int:
    return int(np.argmax(pixels[row, column]))


def test_resizing_to_the_same_size_is_free() -> None:
    assert resize(NOISE, 40, 24) is NOISE
    assert resize(NOISE, 20, 30).shape == (30, 20, 3)
    for how in ("crop", "fill", "stretch"):
        assert fit(NOISE, 40, 24, how) is NOISE


@pytest.mark.parametrize("size", [(64, 64), (30, 90), (90, 30), (1, 1), (64, 1024)])
@pytest.mark.parametrize("have", [(90, 30), (30, 90), (1, 1), (1000, 1), (1, 1000)])
@pytest.mark.parametrize("how", ["crop", "fill", "stretch"])
def test_every_picture_fits_every_size(how: str, have: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.full((have[1], have[0], 3), 90, np.uint8)
    fitted = fit(pixels, *size, how)
    assert fitted.shape == (size[1], size[0], 3)
    assert (fitted == 90).all()  # nothing foreign beside it


def test_cropping_keeps_the_middle() -> None:
    fitted = fit(thirds(90, 30), 60, 60, "crop")
    assert {colour_at(fitted, row, column) for row in (0, 59) for column in (2, 30, 57)} == {1}
    tall = np.transpose(thirds(90, 30), (1, 0, 2)).copy()
    assert {colour_at(fit(tall, 60, 60, "crop"), row, 30) for row in (2, 30, 57)} == {1}


def test_stretching_keeps_everything() -> None:
    fitted = fit(thirds(90, 30), 60, 60, "stretch")
    assert [colour_at(fitted, 30, column) for column in (5, 30, 55)] == [0, 1, 2]


def test_filling_keeps_everything_in_proportion_and_goes_on_beside_it() -> None:
    fitted = fit(thirds(90, 30), 60, 60, "fill")
    assert np.array_equal(fitted[20:40], resize(thirds(90, 30), 60, 20))
    for row in (17, 42):
        assert [colour_at(fitted, row, column) for column in (5, 30, 55)] == [0, 1, 2]


@given(st.tuples(*[st.integers(0, 30)] * 4))
def test_extending_keeps_the_picture_bit_for_bit(sides: tuple[int, int, int, int]) -> None:
    left, right, top, bottom = sides
    whole = extend(NOISE, left, right, top, bottom)
    assert whole.shape == (24 + top + bottom, 40 + left + right, 3)
    assert np.array_equal(whole[top : top + 24, left : left + 40], NOISE)


def test_extending_goes_on_smoothly() -> None:
    line = np.linspace(20, 230, 40)
    pixels = np.broadcast_to(line[None, :, None], (24, 40, 3)).round().astype(np.uint8)
    whole = extend(pixels, 8, 8, 0, 0).astype(int)
    assert np.abs(whole[:, 7] - whole[:, 8]).max() <= 25
    assert np.abs(whole[:, 47] - whole[:, 48]).max() <= 25
    assert whole[:, 0].mean() < 80
    assert whole[:, -1].mean() > 170


# --- windows


def test_a_window_is_a_view() -> None:
    window = Window(3, 2, 10, 7)
    assert (window.width, window.height) == (7, 5)
    pixels = NOISE.copy()
    window.of(pixels)[:] = 0
    assert not pixels[2:7, 3:10].any()
    assert np.array_equal(pixels[:2], NOISE[:2])
    assert window.of(np.zeros((24, 40))).shape == (5, 7)


@st.composite
def spots(draw: st.DrawFn) -> NDArray[np.float32]:
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    mask = np.zeros((height, width), np.float32)
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    mask[top : top + draw(st.integers(1, 40)), left : left + draw(st.integers(1, 40))] = 1
    return mask


@given(spots(), st.integers(0, 40), st.sampled_from([(64, 64), (128, 64), (64, 96)]))
def test_surroundings(mask: NDArray[np.float32], padding: int, size: tuple[int, int]) -> None:
    window = surroundings(mask, padding, *size)
    height, width = mask.shape
    assert 0 <= window.left < window.right <= width
    assert 0 <= window.top < window.bottom <= height
    assert window.of(mask).sum() == mask.sum()
    if window.width < width and window.height < height:
        assert abs(window.width * size[1] / size[0] - window.height) <= 1
    if padding == 0 or not mask.all():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert window.left <= max(0, columns[0] - padding)
        assert window.top <= max(0, rows[0] - padding)
        assert window.right >= min(width, columns[-1] + 1 + padding)
        assert window.bottom >= min(height, rows[-1] + 1 + padding)


def test_surroundings_lie_around_the_middle_or_at_the_edge() -> None:
    mask = np.zeros((100, 200), np.float32)
    mask[40:60, 90:110] = 1
    assert surroundings(mask, 10, 64, 64) == Window(80, 30, 120, 70)
    assert surroundings(mask, 10, 128, 64) == Window(60, 30, 140, 70)
    mask[:] = 0
    mask[:10, :10] = 1
    assert surroundings(mask, 10, 64, 64) == Window(0, 0, 30, 30)


# --- masks


def test_a_line_is_not_thinned_out() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[13, :], mask[40, 50] = 1, 1
    small = resize_mask(mask, 8, 8)
    assert (small[1] == 1).all()
    assert small[5, 6] == 1
    assert small.sum() == 9
    assert np.array_equal(resize_mask(mask, 64, 64), mask)


def test_one_pixel_of_a_large_picture_is_drawn_in_a_small_one() -> None:
    mask = np.zeros((3000, 3000), np.float32)
    mask[1234, 2345] = 1
    assert resize_mask(mask, 64, 64).max() == 1


@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**32 - 1)
)
def test_masks_stay_masks(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width), np.float32) * (rng.random((height, width)) < 0.2)
    small = resize_mask(mask.astype(np.float32), columns, rows)
    assert (small.shape, small.dtype) == ((rows, columns), np.float32)
    assert small.min() >= 0
    assert small.max() <= mask.max() + 1e-6
    if rows <= height and columns <= width:
        assert small.max() == mask.max()


@pytest.mark.parametrize("value", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("size", [(8, 8), (13, 5), (100, 100), (8, 100)])
def test_an_even_grey_stays_the_same_grey(value: float, size: tuple[int, int]) -> None:
    assert np.allclose(resize_mask(np.full((40, 40), value, np.float32), *size), value)


# --- colours


def test_colours_are_taken_over() -> None:
    warm = np.clip(NOISE // 3 + np.array([120, 60, 20]), 0, 255).astype(np.uint8)
    cold = np.clip(RNG.integers(0, 60, (30, 30, 3)) + np.array([20, 60, 120]), 0, 255).astype(np.uint8)
    matched = match_colours(cold, warm).astype(float)
    assert np.abs(matched.mean(axis=(0, 1)) - warm.mean(axis=(0, 1))).max() < 2
    assert np.abs(matched.std(axis=(0, 1)) - warm.std(axis=(0, 1))).max() < 3
    assert matched.shape == cold.shape


def test_a_pictures_own_colours_change_nothing() -> None:
    assert np.abs(match_colours(NOISE, NOISE).astype(int) - NOISE).max() <= 1


def test_what_is_plain_stays_plain() -> None:
    plain = np.full((9, 9, 3), 77, np.uint8)
    matched = match_colours(plain, NOISE)
    assert (matched == matched[0, 0]).all()
    nearly = plain.copy()
    nearly[0, 0] += 1
    assert np.ptp(match_colours(nearly, NOISE), axis=(0, 1)).max() <= 6
