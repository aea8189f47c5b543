import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.samplers.noise import BrownianNoise, FreshNoise, Generator, picture_noise

SIZES = st.lists(st.integers(0, 70), min_size=1, max_size=6)
SEEDS = st.integers(0, 2**63 - 1)
RANGE = {"sigma_min": 0.03, "sigma_max": 14.6}


@given(SEEDS, SIZES)
def test_the_stream_is_torchs_in_every_partition(seed: int, sizes: list[int]) -> None:
    theirs = torch.Generator("cpu").manual_seed(seed)
    ours = Generator(seed)
    for size in sizes:
        np.testing.assert_allclose(
            ours.randn((size,)), torch.randn(size, generator=theirs).numpy(), atol=5e-7, rtol=5e-7
        )


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1, 2**32, 2**32 + 7, 2**63 - 1])
@pytest.mark.parametrize("shape", [(1, 4, 64, 64), (4, 31, 33), (3, 5), (2, 1, 1), ()])
def test_shapes_and_seeds(seed: int, shape: tuple[int, ...]) -> None:
    ours = picture_noise(seed).randn(shape)
    theirs = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)).numpy()
    assert ours.shape == shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=5e-7, rtol=5e-7)


def test_pictures_of_a_run_have_neighbouring_seeds() -> None:
    np.testing.assert_array_equal(picture_noise(5, 3).randn((4, 4, 4)), picture_noise(8).randn((4, 4, 4)))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        Generator(seed)


def test_fresh_noise_reads_on_in_each_pictures_generator() -> None:
    shape = (4, 8, 8)
    batch = FreshNoise((picture_noise(1, 0), picture_noise(1, 1)), shape)
    alone = FreshNoise((picture_noise(1, 1),), shape, torch.asarray)
    for _ in range(3):
        both, one = batch(2.0, 1.0), alone(2.0, 1.0)
        assert both.shape == (2, *shape)
        assert isinstance(one, torch.Tensor)
        np.testing.assert_array_equal(both[1], one[0].numpy())
    theirs = torch.Generator("cpu").manual_seed(2)
    for _ in range(3):
        last = torch.randn(1, *shape, generator=theirs)
    np.testing.assert_allclose(both[1], last[0].numpy(), atol=5e-7)


def test_increments_are_standard_normal_and_independent() -> None:
    noise = BrownianNoise((7,), (1, 200, 200), **RANGE)
    levels = [14.6, 9.0, 8.999, 3.0, 1.0, 0.99, 0.2, 0.03]
    steps = [noise(a, b).ravel() for a, b in itertools.pairwise(levels)]
    for step in steps:
        assert step.dtype == np.float32
        assert abs(step.mean()) < 0.02
        assert abs(step.std() - 1) < 0.02
        assert abs((np.abs(step) > 1.96).mean() - 0.05) < 0.005
    off_diagonal = np.corrcoef(steps) - np.eye(len(steps))
    assert np.abs(off_diagonal).max() < 0.025


def test_a_picture_does_not_depend_on_its_batch() -> None:
    shape = (4, 6, 6)
    batch = BrownianNoise((3, 4, 5), shape, **RANGE)
    alone = BrownianNoise((4,), shape, **RANGE, convert=torch.asarray)
    for step in ((14.6, 2.0), (2.0, 0.5)):
        np.testing.assert_array_equal(batch(*step)[1], alone(*step)[0].numpy())
    assert not np.array_equal(batch(14.6, 2.0)[0], batch(14.6, 2.0)[1])


@given(st.lists(st.floats(0.03, 14.6), min_size=3, max_size=6, unique=True), st.randoms())
def test_one_path_whatever_is_asked_first(levels: list[float], random: object) -> None:
    levels = sorted(levels, reverse=True)
    if min(a / b for a, b in itertools.pairwise(levels)) < 1 + 1e-6:
        return
    first, again = (BrownianNoise((11,), (3, 3), **RANGE) for _ in range(2))
    again(3.0, 0.7)
    for low in reversed(range(1, len(levels))):
        np.testing.assert_array_equal(first(levels[0], levels[low]), again(levels[0], levels[low]))
    # increments add up on the clock 1 / sigma^2
    clock = [level**-2 for level in levels]
    parts = sum(
        first(levels[i], levels[i + 1]).astype(float) * math.sqrt(clock[i + 1] - clock[i])
        for i in range(len(levels) - 1)
    )
    whole = first(levels[0], levels[-1]) * math.sqrt(clock[-1] - clock[0])
    np.testing.assert_allclose(parts, whole, atol=2e-6 * math.sqrt(clock[-1]))


def test_levels_outside_the_range_are_refused() -> None:
    noise = BrownianNoise((1,), (2, 2), **RANGE)
    noise(14.6 * (1 + 1e-9), 0.03 * (1 - 1e-9))
    for sigma, sigma_next in ((20.0, 1.0), (1.0, 0.0)):
        with pytest.raises(ValueError, match="outside"):
            noise(sigma, sigma_next)
    with pytest.raises(ValueError, match="sigma_min"):
        BrownianNoise((1,), (2, 2), 5.0, 1.0)
