"""Features carried on along a line: exact where they move on it, and never further than they were seen to."""

from typing import Any

import numpy as np
import pytest
import torch

from sfumato.engine.features import HALFWAY, Features, Known
from sfumato.engine.plan import UNCONDITIONAL, Conditioning

FROG = Conditioning(((1.0, ((("frog", 1.0),),)),))


def moving(sigma: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Features that move along a line in sigma / (sigma + HALFWAY)."""
    start, slope = np.random.default_rng(0).standard_normal((2, 2, 3, 4, 4)).astype(np.float32)
    return start + slope * np.float32(sigma / (sigma + HALFWAY))


def kept(*sigmas: float) -> Features:
    features = Features()
    for step, sigma in enumerate(sigmas):
        features.keep(FROG, Known(step, sigma, moving(sigma)))
    return features


def test_alone_they_are_used_as_they_are() -> None:
    assert np.array_equal(kept(7.0).at(FROG, 3.0), moving(7.0))


def test_what_moves_along_the_line_is_met_exactly() -> None:
    features = kept(4096.0, 14.0, 7.0)
    for sigma in (7.0, 5.0, 2.5):
        assert np.allclose(features.at(FROG, sigma), moving(sigma), atol=1e-5)
    assert features.at(FROG, 5.0).dtype == np.float32


def test_they_are_carried_no_further_than_the_two_are_apart() -> None:
    features = kept(10.0, 9.0)
    limit = 2 * moving(9.0) - moving(10.0)
    assert np.allclose(features.at(FROG, 0.1), limit, atol=1e-5)
    assert np.allclose(features.at(FROG, 0.0), limit, atol=1e-5)


def test_nothing_is_carried_back() -> None:
    assert np.array_equal(kept(10.0, 5.0).at(FROG, 6.0), moving(5.0))
    assert np.array_equal(kept(5.0, 5.0).at(FROG, 1.0), moving(5.0))


def test_of_one_step_the_last_evaluation_counts() -> None:
    features = kept(14.0)
    features.keep(FROG, Known(1, 7.0, moving(14.0)))
    features.keep(FROG, Known(1, 5.0, moving(5.0)))
    assert np.allclose(features.at(FROG, 3.0), moving(3.0), atol=1e-5)


def test_every_conditioning_has_its_own() -> None:
    features = kept(14.0, 7.0)
    features.keep(UNCONDITIONAL, Known(1, 7.0, moving(1.0)))
    assert np.array_equal(features.at(UNCONDITIONAL, 3.0), moving(1.0))
    with pytest.raises(KeyError):
        Features().at(FROG, 1.0)


def test_torch_features_keep_their_dtype() -> None:
    features = Features()
    for step, sigma in enumerate((14.0, 7.0)):
        features.keep(FROG, Known(step, sigma, torch.tensor(moving(sigma), dtype=torch.bfloat16)))
    assert features.at(FROG, 3.0).dtype == torch.bfloat16
