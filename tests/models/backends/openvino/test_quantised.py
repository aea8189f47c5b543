"""Layers that multiply whole numbers of 8 bits, against the same layers in float32."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sfumato.errors import InputError
from sfumato.models.backends.openvino.layers import Layers, attend
from sfumato.models.backends.openvino.networks import has_int8, shared_core
from sfumato.models.backends.openvino.quantised import (
    ALPHA,
    LEVELS,
    ObservedLayers,
    QuantisedLayers,
    interval,
    per_input,
    smoothing,
    stays_float,
    symmetric,
)
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Weights

Floats = NDArray[np.float32]
CHANNELS = 32
SHAPES = {"matrix": (2, 24, CHANNELS), "kernel": (2, CHANNELS, 8, 8)}
multiplies_int8 = pytest.mark.skipif(not has_int8(shared_core()), reason="needs instructions for eight bits")


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    tensors = {
        "one.weight": normal(48, CHANNELS, seed=1) / 6,
        "one.bias": normal(48, seed=2),
        "two.weight": normal(16, CHANNELS, seed=3) / 6,
        "conv.weight": normal(16, CHANNELS, 3, 3, seed=4) / 17,
        "conv.bias": normal(16, seed=5),
        "conv_in.weight": normal(16, CHANNELS, 3, 3, seed=4) / 17,
        "conv_in.bias": normal(16, seed=5),
    }
    save_file(tensors, tmp_path / "w.safetensors")
    return Weights(tmp_path / "w.safetensors")


def built(layers: Layers, kind: str, name: str = "") -> Any:
    """Return a model of one convolution, or of two linear layers of one input and what compares them."""
    x = op.parameter(list(SHAPES[kind]), ov.Type.f32, name="x")
    if kind == "kernel":
        outputs = [layers.conv(x, name or "conv")]
    else:
        one, two = layers.linears(x, "one", "two")
        q = layers.compared(two, "two")
        outputs = [one, two, attend(q, q, two, 2)]
    results = [op.result(output) for output in outputs]
    if isinstance(layers, ObservedLayers):
        results += [op.result(seen) for seen in layers.seen.values()]
    return ov.Model(results, [x], kind)


def compiled(model: Any) -> Any:
    return shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def ran(model: Any, x: Floats) -> list[Floats]:
    results = compiled(model)([x])
    return [np.array(results[number]) for number in range(len(results))]


def uneven(kind: str) -> Floats:
    """Return an input with a channel that is ten times as large as the others."""
    x = normal(*SHAPES[kind], seed=7)
    (x[..., 3] if kind == "matrix" else x[:, 3])[:] *= 10
    return x


def ranges_of(weights: Weights, kind: str, x: Floats) -> dict[str, Floats]:
    layers = ObservedLayers(weights, 1, {})
    outputs = ran(built(layers, kind), x)
    return dict(zip(layers.seen, outputs[-len(layers.seen) :], strict=True))


def multiplied_in(model: Any) -> set[str]:
    """Return in which precision a compiled model multiplies matrices and convolves."""
    nodes = compiled(model).get_runtime_model().get_ordered_ops()
    facts = [node.get_rt_info() for node in nodes]
    types = [(one["layerType"].astype(str), one["runtimePrecision"].astype(str)) for one in facts]
    return {where for what, where in types if what.startswith(("FullyConnected", "Convolution"))}


@pytest.mark.parametrize("kind", SHAPES)
def test_ranges_are_the_least_and_greatest_of_every_channel(kind: str, weights: Weights) -> None:
    x = uneven(kind)
    ranges = ranges_of(weights, kind, x)
    assert list(ranges) == {"matrix": ["one.input", "two.output"], "kernel": ["conv.input"]}[kind]
    over = (0, 1) if kind == "matrix" else (0, 2, 3)
    first = next(iter(ranges.values()))
    np.testing.assert_array_equal(first, np.stack([x.min(axis=over), x.max(axis=over)]))


@pytest.mark.parametrize("kind", SHAPES)
def test_rounded_layers_are_near(kind: str, weights: Weights) -> None:
    x = uneven(kind)
    layers = QuantisedLayers(weights, 1, ranges_of(weights, kind, x))
    exact = ran(built(Layers(weights, 1), kind), x)
    most = (0.03, 0.03, 0.1)  # attention multiplies what has been rounded once more, and sharpens it
    for ours, theirs, limit in zip(ran(built(layers, kind), x), exact, most[: len(exact)], strict=True):
        assert 1e-4 < np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < limit


@multiplies_int8
@pytest.mark.parametrize("kind", SHAPES)
def test_whole_numbers_are_what_is_multiplied(kind: str, weights: Weights) -> None:
    ranges = ranges_of(weights, kind, uneven(kind))
    assert multiplied_in(built(QuantisedLayers(weights, 1, ranges), kind)) <= {"i8", "u8"}
    assert multiplied_in(built(Layers(weights, 1), kind)) == {"f32"}


@pytest.mark.parametrize(
    ("name", "float_"),
    [
        ("conv_in", True),
        ("conv_out", True),
        ("time_embedding.linear_1", True),
        ("add_embedding.linear_2", True),
        ("down_blocks.0.resnets.1.time_emb_proj", True),
        ("up_blocks.0.resnets.1.conv_shortcut", True),
        ("mid_block.attentions.0.transformer_blocks.0.ff.net.2", True),
        ("mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj", False),
        ("down_blocks.0.resnets.1.conv1", False),
        ("up_blocks.1.attentions.0.proj_in", False),
    ],
)
def test_some_layers_stay_float(name: str, float_: bool) -> None:
    assert stays_float(name) == float_


def test_what_stays_float_needs_no_ranges(weights: Weights) -> None:
    x = uneven("kernel")
    ours = ran(built(QuantisedLayers(weights, 1, {}), "kernel", "conv_in"), x)
    np.testing.assert_array_equal(ours, ran(built(Layers(weights, 1), "kernel", "conv_in"), x))
    layers = ObservedLayers(weights, 1, {})
    built(layers, "kernel", "conv_in")
    assert layers.seen == {}


@pytest.mark.parametrize("ranges", [{}, {"one.input": np.zeros((2, CHANNELS + 1), np.float32)}])
def test_ranges_that_do_not_fit_are_refused(ranges: dict[str, Floats], weights: Weights) -> None:
    with pytest.raises(InputError, match=r"finds no range of one\.input.*Run: sfumato compile"):
        built(QuantisedLayers(weights, 1, ranges), "matrix")


def test_factors_are_those_of_the_paper() -> None:
    inputs, weights = np.array([8, 1, 2], np.float32), np.array([0.5, 4, 1], np.float32)
    expected = [8**ALPHA / 0.5 ** (1 - ALPHA), 1 / 4 ** (1 - ALPHA), 2**ALPHA]
    np.testing.assert_allclose(smoothing(inputs, weights), expected, rtol=1e-6)


@pytest.mark.parametrize("inputs", [[0, 0], [0, 4], [1e-30, 4]])
@pytest.mark.parametrize("weights", [[0, 0], [3, 0], [3, 1]])
def test_channels_that_are_still_keep_finite_factors(
    inputs: Sequence[float], weights: Sequence[float]
) -> None:
    factors = smoothing(np.array(inputs, np.float32), np.array(weights, np.float32))
    assert (factors > 0).all()
    assert np.isfinite(factors).all()
    assert np.isfinite(1 / factors).all()


def test_largest_weights_are_per_input() -> None:
    np.testing.assert_array_equal(per_input(np.array([[1, -5], [2, 3]], np.float32)), [2, 5])
    assert per_input(normal(4, 3, 2, 2)).shape == (3,)


@pytest.mark.parametrize(("low", "high"), [(-0.3, 7.1), (-4, 4), (0, 3), (1, 2), (-2, -1), (0, 0)])
def test_intervals_hold_everything_and_an_exact_zero(low: float, high: float) -> None:
    start, end = interval(low, high)
    step = (end - start) / (LEVELS - 1)
    assert start <= low + step / 2
    assert end >= high - step / 2
    assert -start / step == pytest.approx(round(-start / step), abs=1e-9)
    assert start <= 0 < end or start < 0 <= end


def test_symmetric_intervals_have_an_exact_zero() -> None:
    start, end = symmetric(4.0)
    assert -start / (end - start) * (LEVELS - 1) == pytest.approx(128)
    assert end == 4
    assert symmetric(0.0)[1] > 0
