"""Compiled graphs are made once, kept, and dropped oldest first."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.errors import ModelFileError
from sfumato.models.backends.openvino.networks import Network, has_bfloat16, new_core
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.files import NetworkFiles


class Doubling:
    """Builds graphs that double their input, and counts how many."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self) -> tuple[Any, None]:
        self.built += 1
        x = op.parameter([-1], ov.Type.f32, name="x")
        x.output(0).get_tensor().set_names({"x"})
        return ov.Model([op.result(op.multiply(x, op.constant(np.float32(2))))], [x], "doubling"), None


@pytest.fixture
def network() -> Network:
    files = NetworkFiles("unet", {}, Path("unet/weights.safetensors"))
    return Network(new_core(), files, {"INFERENCE_PRECISION_HINT": "f32"})


def test_a_graph_is_compiled_once(network: Network) -> None:
    doubling = Doubling()
    network.compile("a", doubling)
    for number in (1.0, 2.5):
        (result,) = network.run("a", doubling, {"x": np.array([number], np.float32)})
        np.testing.assert_array_equal(result, [2 * number])
    assert doubling.built == 1


def test_results_stay_when_the_graph_runs_again(network: Network) -> None:
    doubling = Doubling()
    (first,) = network.run("a", doubling, {"x": np.ones(3, np.float32)})
    network.run("a", doubling, {"x": np.zeros(3, np.float32)})
    np.testing.assert_array_equal(first, [2, 2, 2])


def test_the_graph_used_longest_ago_goes_first(network: Network) -> None:
    doubling = Doubling()
    for key in "abcdef":
        network.compile(key, doubling)
    network.compile("a", doubling)
    network.compile("g", doubling)  # b goes
    assert doubling.built == 7
    network.compile("a", doubling)
    assert doubling.built == 7
    network.compile("b", doubling)
    assert doubling.built == 8


def test_threads_take_turns(network: Network) -> None:
    doubling = Doubling()

    def run(number: int) -> float:
        (result,) = network.run("a", doubling, {"x": np.full(1000, number, np.float32)})
        assert (result == result[0]).all()
        return float(result[0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(32))) == [2.0 * number for number in range(32)]
    assert doubling.built == 1


def test_what_openvino_refuses_is_a_damaged_model(network: Network) -> None:
    def mismatched() -> tuple[Any, None]:
        return op.matmul(op.constant(np.ones((2, 3))), op.constant(np.ones((2, 3))), False, False), None

    with pytest.raises(ModelFileError, match=r"unet/weights\.safetensors does not fit its config\.json"):
        network.compile("a", mismatched)


def test_the_processor_is_asked_about_bfloat16() -> None:
    assert has_bfloat16(new_core()) in (True, False)
