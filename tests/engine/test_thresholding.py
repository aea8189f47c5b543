"""Dynamic thresholding against numpy's percentile, on both kinds of arrays."""

from typing import Any

import numpy as np
import pytest
import torch

from sfumato.engine.plan import Guided
from sfumato.engine.thresholding import DynamicThreshold


def normal(seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((2, 3, 9, 7)).astype(np.float32)


def guided(reference: Any) -> Guided:
    return Guided(reference, 1.0, reference, reference, "x0")


@pytest.mark.parametrize("percentile", [0.5, 0.9, 0.995, 1.0])
def test_every_channel_reaches_as_far_as_without_guidance(percentile: float) -> None:
    reference, x0 = normal(0), normal(1) * 4 + 2
    made = DynamicThreshold(percentile).after(x0, guided(reference))
    for one, wanted in zip(made.reshape(6, -1), reference.reshape(6, -1), strict=True):
        reach = np.quantile(np.abs(wanted - wanted.mean()), percentile)
        centre = (one.max() + one.min()) / 2
        assert np.abs(one - centre).max() <= reach * 1.01
    expected = []
    for one, wanted in zip(x0.reshape(6, -1), reference.reshape(6, -1), strict=True):
        far, near = (np.quantile(np.abs(each - each.mean()), percentile) for each in (one, wanted))
        expected.append(one.mean() + np.clip(one - one.mean(), -far, far) * near / far)
    np.testing.assert_allclose(made.reshape(6, -1), expected, rtol=1e-4, atol=1e-5)


def test_what_reaches_less_far_is_not_touched() -> None:
    reference = normal(0)
    for x0 in (reference, reference * 0.5):
        np.testing.assert_array_equal(DynamicThreshold(0.9).after(x0, guided(reference)), x0)


def test_torch_and_numpy_agree_and_x_is_left_alone() -> None:
    reference, x0 = normal(0), normal(1) * 3
    one = DynamicThreshold(0.95)
    other = one.after(torch.tensor(x0), guided(torch.tensor(reference)))
    np.testing.assert_allclose(one.after(x0, guided(reference)), other.numpy(), atol=1e-5)
    assert one.before(x0, 1.0) is x0
