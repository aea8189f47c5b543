"""Where tensors lie, and what makes them the network's."""

import numpy as np
import pytest
import torch

from sfumato.models.stored import Change, Rows, changed, changed_shape

CASES: list[tuple[Change, tuple[int, ...], tuple[int, ...]]] = [
    (None, (2, 3), (2, 3)),
    ("matrix", (2, 3, 1, 1), (2, 3)),
    ("transposed", (2, 3), (3, 2)),
    (Rows(2, 4), (6, 3), (2, 3)),
    (Rows(4, 6), (6,), (2,)),
]


@pytest.mark.parametrize(("change", "shape", "expected"), CASES)
def test_numpy_and_torch_are_changed_alike_and_without_a_copy(
    change: Change, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    mine, theirs = changed(array, change), changed(torch.from_numpy(array), change)
    assert changed_shape(shape, change) == mine.shape == tuple(theirs.shape) == expected
    np.testing.assert_array_equal(mine, theirs.numpy())
    assert np.shares_memory(mine, array)


def test_rows_are_those_of_the_middle() -> None:
    np.testing.assert_array_equal(changed(np.arange(6), Rows(2, 4)), [2, 3])
