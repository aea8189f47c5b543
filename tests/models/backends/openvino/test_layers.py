"""Layers whose shape matters: known and unknown sizes give the same numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sfumato.models.backends.openvino.layers import (
    attend,
    picture,
    sequence,
    shape_of,
    spatial_of,
    upsample,
    whole,
)
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.runtime import op, ov

X = np.random.default_rng(0).standard_normal((2, 6, 3, 5)).astype(np.float32)
SHAPES = [(2, 6, 3, 5), (-1, 6, -1, -1)]


def run(output: Any, parameters: list[Any], *values: NDArray[np.float32]) -> NDArray[Any]:
    model = ov.Model([op.result(output)], parameters, "layers")
    compiled = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(list(values))[0])


def parameter(shape: tuple[int, ...]) -> Any:
    return op.parameter(list(shape), ov.Type.f32)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_picture_becomes_a_sequence_and_back(shape: tuple[int, ...]) -> None:
    x = parameter(shape)
    np.testing.assert_array_equal(run(picture(sequence(x), x), [x], X), X)
    x = parameter(shape)
    np.testing.assert_array_equal(run(sequence(x), [x], X), X.reshape(2, 6, 15).transpose(0, 2, 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_known_or_computed(shape: tuple[int, ...]) -> None:
    x = parameter(shape)
    assert run(shape_of(x), [x], X).tolist() == [2, 6, 3, 5]
    x = parameter(shape)
    assert run(spatial_of(x), [x], X).tolist() == [3, 5]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [None, (6, 10), (5, 9)])
def test_upsampling_takes_the_pixels_torch_takes(
    shape: tuple[int, ...], size: tuple[int, int] | None
) -> None:
    x = parameter(shape)
    ours = run(upsample(x, None if size is None else whole(*size)), [x], X)
    wanted = (6, 10) if size is None else size
    np.testing.assert_array_equal(ours, functional.interpolate(torch.tensor(X), wanted).numpy())


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_that_of_torch(causal: bool) -> None:
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal((2, 7, 12)).astype(np.float32) for _ in range(3))
    nodes = [parameter((2, 7, 12)) for _ in range(3)]
    ours = run(attend(*nodes, 3, causal=causal), nodes, q, k, v)
    heads = [torch.tensor(one).reshape(2, 7, 3, 4).transpose(1, 2) for one in (q, k, v)]
    theirs = functional.scaled_dot_product_attention(*heads, is_causal=causal)
    np.testing.assert_allclose(ours, theirs.transpose(1, 2).reshape(2, 7, 12).numpy(), atol=1e-5)
