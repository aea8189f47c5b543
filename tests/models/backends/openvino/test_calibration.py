"""Ranges measured while the compiled backend predicts."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sfumato.models.backends.openvino.backend import load_openvino
from sfumato.models.backends.openvino.calibration import (
    Extremes,
    ObservedBackend,
    channels_of_ranges,
    load_observed,
)
from sfumato.models.files import locate
from tiny_models import tiny_folder


@pytest.fixture
def observed() -> ObservedBackend:
    return load_observed(locate(tiny_folder()))


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_extremes_are_those_of_all_calls() -> None:
    extremes = Extremes(("a", "b"))
    first = [np.array([[-1, 0], [1, 2]], np.float32), np.array([[0], [5]], np.float32)]
    second = [np.array([[-3, 1], [0, 4]], np.float32), np.array([[1], [2]], np.float32)]
    extremes.add(first)
    extremes.add(second)
    assert {name: one.tolist() for name, one in extremes.ranges.items()} == {
        "a": [[-3, 0], [1, 4]],
        "b": [[0], [5]],
    }


def test_what_is_predicted_stays_the_same(observed: ObservedBackend) -> None:
    plain = load_openvino(locate(tiny_folder()), "auto")
    x, context = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1)
    assert observed.name == plain.name
    ours, theirs = (one.predict(x, 500.0, context) for one in (observed, plain))
    assert distance(ours, theirs) < 0.05  # in bfloat16, other graphs round elsewhere


def test_within_the_ranges_that_were_seen_rounding_costs_little(observed: ObservedBackend) -> None:
    x, context = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1)
    observed.predict(x, 500.0, context)
    exact = load_openvino(locate(tiny_folder()), "float32")
    rounding = replace(load_openvino(locate(tiny_folder()), "float32"), ranges=observed.seen.ranges)
    theirs = exact.predict(x, 500.0, context)
    assert 0.005 < distance(rounding.predict(x, 500.0, context), theirs) < 0.1
    whole, features = rounding.predict_reusing(x, 500.0, context, None)
    assert distance(whole, theirs) < 0.1
    # Layers have the same ranges, by name, wherever they are.
    again, _ = rounding.predict_reusing(x, 500.0, context, features)
    assert distance(again, whole) < 0.01


def test_every_call_widens_the_ranges(observed: ObservedBackend) -> None:
    context = normal(2, 16, 32, seed=1)
    observed.predict(normal(2, 4, 8, 8), 900.0, context)
    before = dict(observed.seen.ranges)
    observed.predict(3 * normal(1, 4, 8, 16, seed=2), 100.0, context[:1])  # a graph of another shape
    after = observed.seen.ranges
    assert after.keys() == before.keys()
    assert any(name.endswith("attn1.to_q.input") for name in after)
    assert any(name.endswith("attn2.to_k.output") for name in after)
    assert not any("time_emb" in name or "conv_in" in name for name in after)
    for name, (low, high) in after.items():
        assert (low <= before[name][0]).all()
        assert (high >= before[name][1]).all()
    assert any((after[name] != before[name]).any() for name in after)


def test_features_are_not_reused_meanwhile(observed: ObservedBackend) -> None:
    with pytest.raises(ValueError, match="while ranges are measured"):
        observed.predict_reusing(normal(1, 4, 8, 8), 1.0, normal(1, 16, 32), None)


def test_the_channels_of_every_range_are_known_without_a_call(observed: ObservedBackend) -> None:
    observed.predict(normal(2, 4, 8, 8), 500.0, normal(2, 16, 32, seed=1))
    seen = {name: one.shape[1] for name, one in observed.seen.ranges.items()}
    assert channels_of_ranges(locate(tiny_folder())) == seen
