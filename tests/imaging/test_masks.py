"""What is kept stays bit for bit, edges are bounded, and no step shows where a mask ends."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.errors import PictureError
from sfumato.imaging.inputs import InputPicture
from sfumato.imaging.masks import (
    SEAM_BAND,
    Mask,
    composite,
    feather,
    fill_from_around,
    grow,
    make_mask,
    shrink_to_cells,
    without_seam,
)
from sfumato.recipe.resolved_parts import ResolvedMask, Source
from sfumato.recipe.sources import SourceFacts

PLAIN = ResolvedMask(
    box=None, invert=False, grow=0, feather=0, soft=False, extent="whole", padding=32, fill="noise"
)
DRAWN = Source(sha256="a" * 64, name="mask.png")
RNG = np.random.default_rng(0)


def part(**changes: Any) -> ResolvedMask:
    return PLAIN.model_copy(update=changes)


def picture(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> InputPicture:
    height, width = pixels.shape[:2]
    pixels = np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels
    facts = SourceFacts("a" * 64, "mask.png", width, height, has_alpha=alpha is not None)
    return InputPicture(facts, pixels, alpha, Path("mask.png"))


def grey(width: int, height: int, value: int = 128) -> InputPicture:
    return picture(np.full((height, width), value, np.uint8))


def left_half(width: int, height: int) -> NDArray[np.uint8]:
    """A mask of which the left half is white."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, : width // 2] = 255
    return pixels


def spot(size: int, at: tuple[int, int] | None = None) -> Mask:
    mask = np.zeros((size, size), np.float32)
    mask[at or (size // 2, size // 2)] = 1
    return mask


def square(size: int, low: int, high: int) -> Mask:
    mask = np.zeros((size, size), np.float32)
    mask[low:high, low:high] = 1
    return mask


@st.composite
def random_masks(draw: st.DrawFn) -> Mask:
    """Spots, rectangles and noise of any kind, also soft."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    mask = np.zeros((height, width), np.float32)
    for _ in range(draw(st.integers(0, 3))):
        top, left = rng.integers(height), rng.integers(width)
        mask[top : top + rng.integers(1, 20), left : left + rng.integers(1, 20)] = 1
    if draw(st.booleans()):
        mask *= rng.random((height, width), np.float32)
    if draw(st.booleans()):
        mask = feather(mask, draw(st.integers(1, 12)))
    return mask


# --- making masks


def test_a_rectangle() -> None:
    mask = make_mask(part(box=(2, 1, 5, 3)), grey(8, 6), None)
    assert (mask.shape, mask.dtype, mask.sum()) == ((6, 8), np.float32, 6)
    assert (mask[1:3, 2:5] == 1).all()


def test_what_is_white_in_a_picture() -> None:
    image = grey(20, 10)
    mask = make_mask(part(source=DRAWN), image, picture(left_half(20, 10)))
    assert np.array_equal(mask, left_half(20, 10) / 255)
    inverted = make_mask(part(source=DRAWN, invert=True), image, picture(left_half(20, 10)))
    assert np.array_equal(inverted, 1 - mask)


@pytest.mark.parametrize("size", [(40, 20), (10, 5), (20, 10), (200, 100)])
def test_a_mask_of_another_size_is_stretched(size: tuple[int, int]) -> None:
    mask = make_mask(part(source=DRAWN), grey(20, 10), picture(left_half(*size)))
    assert set(np.unique(mask)) == {0, 1}
    assert np.array_equal(mask, left_half(20, 10) / 255)


@pytest.mark.parametrize("size", [(10, 20), (20, 11), (19, 10), (20, 1)])
def test_a_mask_of_other_proportions_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError) as caught:
        make_mask(part(source=DRAWN), grey(20, 10), picture(left_half(*size)))
    assert str(caught.value) == (
        f"mask: its proportions are not those of the image, 20x10 (got '{size[0]}x{size[1]}'). "
        "Give a mask of the image's size."
    )


def test_what_is_transparent_in_the_image() -> None:
    alpha = np.full((6, 8), 255, np.uint8)
    alpha[2:4, 1:3] = 0
    alpha[0, 0] = 200  # nearly opaque
    image = replace(grey(8, 6), alpha=alpha)
    mask = make_mask(part(), image, None)
    assert mask.sum() == 4
    assert (mask[2:4, 1:3] == 1).all()
    assert make_mask(part(soft=True), image, None)[0, 0] == pytest.approx(55 / 255)


def test_what_is_transparent_in_a_mask_is_not_painted_on() -> None:
    alpha = np.zeros((10, 20), np.uint8)
    alpha[:5] = 255
    white = picture(np.full((10, 20), 255, np.uint8), alpha)
    mask = make_mask(part(source=DRAWN), grey(20, 10), white)
    assert (mask[:5] == 1).all()
    assert (mask[5:] == 0).all()


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"source": DRAWN}, grey(20, 10, 0)),
        ({"source": DRAWN}, grey(20, 10, 127)),  # darker than half
        ({"source": DRAWN, "invert": True}, grey(20, 10, 255)),
        ({"source": DRAWN, "grow": -20}, picture(left_half(20, 10))),
        ({}, None),
    ],
    ids=["black", "dark", "turned white", "shrunk away", "opaque"],
)
def test_an_empty_mask_is_refused(changes: dict[str, Any], source: InputPicture | None) -> None:
    with pytest.raises(
        PictureError, match=r"^mask: the mask is empty: nothing would be drawn.* What is white"
    ):
        make_mask(part(**changes), grey(20, 10), source)


def test_a_full_mask_is_a_mask() -> None:
    assert (make_mask(part(source=DRAWN), grey(20, 10), grey(20, 10, 255)) == 1).all()
    assert (make_mask(part(source=DRAWN, feather=4), grey(20, 10), grey(20, 10, 255)) == 1).all()


def test_grey_counts_by_halves_unless_the_mask_is_soft() -> None:
    ramp = np.tile(np.arange(0, 256, 17, dtype=np.uint8), (4, 1))
    hard = make_mask(part(source=DRAWN), grey(16, 4), picture(ramp))
    assert np.array_equal(hard, ramp >= 128)
    soft = make_mask(part(source=DRAWN, soft=True), grey(16, 4), picture(ramp))
    assert np.allclose(soft, ramp / 255, atol=1e-3)


def test_growing_comes_after_turning_round_and_before_feathering() -> None:
    source = picture((1 - square(31, 10, 21)).astype(np.uint8) * 255)
    grown = make_mask(part(source=DRAWN, invert=True, grow=3), grey(31, 31), source)
    assert np.array_equal(grown, grow(square(31, 10, 21), 3))
    both = make_mask(part(source=DRAWN, invert=True, grow=3, feather=4), grey(31, 31), source)
    assert np.array_equal(both, feather(grown, 4))


# --- growing and feathering


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 7, 12])
def test_a_spot_grows_to_a_disc(radius: int) -> None:
    size = 31
    rows, columns = np.mgrid[:size, :size] - size // 2
    assert np.array_equal(grow(spot(size), radius) > 0, rows**2 + columns**2 <= radius**2)


def test_a_disc_reaches_over_the_edge_without_coming_back() -> None:
    rows, columns = np.mgrid[:20, :20]
    assert np.array_equal(grow(spot(20, (0, 19)), 6) > 0, rows**2 + (19 - columns) ** 2 <= 36)
    assert (grow(spot(20, (0, 19)), 10**9) == 1).all()


def test_shrinking_grows_the_black() -> None:
    assert np.array_equal(grow(square(31, 8, 24), -3), square(31, 11, 21))
    assert not grow(square(31, 8, 24), -8).any()
    full = np.ones((9, 9), np.float32)
    assert np.array_equal(grow(full, -3), full)  # beside the picture there is no black


@given(random_masks(), st.integers(0, 8))
@settings(max_examples=25)
def test_growing_is_the_largest_value_within_reach(mask: Mask, radius: int) -> None:
    grown = grow(mask, radius)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    rng = np.random.default_rng(0)
    for _ in range(5):
        row, column = rng.integers(mask.shape[0]), rng.integers(mask.shape[1])
        near = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        assert grown[row, column] == mask[near].max()


@given(random_masks(), st.integers(1, 16))
@settings(max_examples=25)
def test_a_feather_keeps_white_white_and_ends_within_its_radius(mask: Mask, radius: int) -> None:
    soft = feather(mask, radius)
    assert soft.dtype == np.float32
    assert (soft >= mask).all()
    assert soft.max(initial=0) <= 1 + 1e-6
    assert (soft[mask == 1] == 1).all()
    assert (soft[grow(mask, radius) == 0] == 0).all()


@pytest.mark.parametrize("radius", [1, 4, 10, 25])
def test_a_feather_falls_without_a_jump(radius: int) -> None:
    soft = feather(square(101, 30, 71), radius)
    line = soft[50, 70:]
    assert line[0] == 1
    assert line[radius + 1] == 0
    assert (np.diff(line) <= 1e-6).all()
    assert 0 < line[max(1, radius // 2)] < 1
    assert -np.diff(line).min() < max(2.5 / radius, 0.05) or radius == 1


def test_an_absurd_feather_costs_no_more_than_the_picture() -> None:
    assert np.array_equal(feather(square(40, 10, 20), 16_384), feather(square(40, 10, 20), 40))


def test_cells_hold_the_largest_value() -> None:
    mask = np.zeros((16, 24), np.float32)
    mask[7, 8], mask[15, 23] = 0.25, 1
    cells = shrink_to_cells(mask, 2, 3)
    assert np.array_equal(cells, np.array([[0, 0.25, 0], [0, 0, 1]], np.float32))


# --- putting pictures together


@given(random_masks(), st.integers(0, 2**32 - 1))
def test_outside_the_mask_the_old_picture_comes_back_bit_for_bit(mask: Mask, seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, 256, (2, *mask.shape, 3), np.uint8)
    result = composite(old, without_seam(old, new, mask), mask)
    assert result.dtype == np.uint8
    assert np.array_equal(result[mask == 0], old[mask == 0])
    plain = composite(old, new, mask)
    assert np.array_equal(plain[mask == 0], old[mask == 0])
    assert np.array_equal(plain[mask == 1], new[mask == 1])
    assert (plain >= np.minimum(old, new)).all()
    assert (plain <= np.maximum(old, new)).all()


def scene(size: int) -> NDArray[np.uint8]:
    """A smooth picture."""
    rows, columns = np.mgrid[:size, :size] / size
    bands = [120 + 60 * np.sin(4 * rows), 110 + 50 * np.cos(5 * columns), 90 + 60 * rows * columns]
    return np.stack(bands, axis=-1).astype(np.uint8)


def step_at_the_border(result: NDArray[np.uint8], mask: Mask) -> float:
    """Return the mean difference between neighbours of which one is masked."""
    values = result.astype(int)
    jumps: list[NDArray[np.int_]] = []
    for axis in (0, 1):
        over = np.diff((mask > 0).astype(int), axis=axis) != 0
        jumps.append(np.abs(np.diff(values, axis=axis))[over].ravel())
    return float(np.concatenate(jumps).mean())


@pytest.mark.parametrize("tint", [(12, -9, 15), (-20, -20, -20), (30, 0, 0)])
@pytest.mark.parametrize("mask", [square(96, 30, 70), grow(spot(96), 25), square(96, 0, 40)], ids=range(3))
def test_another_tint_leaves_no_step_over_the_border(mask: Mask, tint: tuple[int, int, int]) -> None:
    old = scene(96)
    new = np.clip(old.astype(int) + tint, 0, 255).astype(np.uint8)
    before = step_at_the_border(composite(old, new, mask), mask)
    after = step_at_the_border(composite(old, without_seam(old, new, mask), mask), mask)
    own = step_at_the_border(old, mask)
    assert before > own + 5
    assert after <= own + 2


def test_a_seam_is_led_over_near_the_border_only() -> None:
    old, mask = scene(96), square(96, 20, 76)
    new = (255 - old.astype(int)).astype(np.uint8)
    led = without_seam(old, new, mask)
    deep = grow(mask, -SEAM_BAND - 1) > 0
    assert deep.any()
    assert np.array_equal(led[deep], new[deep])


def test_where_nothing_is_kept_or_drawn_there_is_no_seam() -> None:
    old, new = scene(16), 255 - scene(16)
    for mask in (np.zeros((16, 16), np.float32), np.ones((16, 16), np.float32)):
        assert np.array_equal(without_seam(old, new, mask), new)


def test_the_new_picture_is_not_written_into() -> None:
    old, new = scene(32), 255 - scene(32)
    before = new.copy()
    without_seam(old, new, square(32, 8, 24))
    assert np.array_equal(new, before)


# --- filling


def test_a_gradient_goes_on_through_a_hole() -> None:
    line = np.linspace(40, 210, 64)
    pixels = np.broadcast_to(line[None, :, None], (64, 64, 3)).round().astype(np.uint8)
    mask = square(64, 24, 40)
    holed = np.where(mask[..., None] > 0, 0, pixels).astype(np.uint8)
    filled = fill_from_around(holed, mask)
    assert np.abs(filled.astype(int) - pixels)[mask > 0].max() <= 25  # of a slope of 43 across the hole
    assert np.abs(filled.astype(int) - pixels)[mask > 0].mean() <= 8
    assert np.array_equal(filled[mask == 0], pixels[mask == 0])


@given(random_masks(), st.integers(0, 255))
@settings(max_examples=25)
def test_what_is_known_stays_and_one_colour_fills_every_hole(mask: Mask, value: int) -> None:
    plain = np.full((*mask.shape, 3), value, np.uint8)
    holed = np.where(mask[..., None] > 0, RNG.integers(0, 256, plain.shape), plain).astype(np.uint8)
    known = (mask == 0).any()
    hard = (mask > 0).astype(np.float32)
    assert (fill_from_around(holed, hard) == (value if known else 128)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 3), (64, 1)])
def test_any_shape_fills(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 50, np.uint8)
    mask = np.ones(shape, np.float32)
    assert (fill_from_around(pixels, mask) == 128).all()
    mask[0, 0] = 0
    assert (fill_from_around(pixels, mask) == 50).all()


def test_a_large_mask_shrinks_as_its_distances_say() -> None:
    mask = square(1024, 100, 900)
    mask[400:410, 500:510] = 0
    rows, columns = np.mgrid[:1024, :1024]
    holes = np.minimum(np.minimum(rows - 99, 900 - rows), np.minimum(columns - 99, 900 - columns))
    down, across = (
        np.maximum(np.maximum(400 - rows, rows - 409), 0),
        np.maximum(np.maximum(500 - columns, columns - 509), 0),
    )
    expected = (holes > 64) & (down**2 + across**2 > 64**2)
    assert np.array_equal(grow(mask, -64) > 0, expected)
    grey = mask * np.float32(0.5)
    assert np.array_equal(grow(grey, 64), grow(mask, 64) * np.float32(0.5))
