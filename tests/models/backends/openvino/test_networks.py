"""Compiled graphs are made once or read from the cache, kept, and dropped oldest first."""

import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.errors import ModelFileError, OutputError
from sfumato.models.backends.openvino.cache import HEAD_BYTES, CachePlace, GraphCache, Maker
from sfumato.models.backends.openvino.networks import (
    Graph,
    Network,
    compile_ahead,
    export,
    has_bfloat16,
    has_int8,
    kept_graphs,
    processor,
    shared_core,
    version,
)
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.network_files import NetworkFiles

OPTIONS = {"INFERENCE_PRECISION_HINT": "f32"}


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
    return made()


def made(cache: GraphCache | None = None) -> Network:
    files = NetworkFiles("unet", {}, Path("unet/weights.safetensors"))
    return Network(shared_core(), files, OPTIONS, name="unet", cache=cache)


def cache(folder: Path, *, storing: bool = False) -> GraphCache:
    return GraphCache(CachePlace(folder, "d", storing=storing), "float32", Maker("", "", "", OPTIONS))


def test_a_graph_is_compiled_once(network: Network) -> None:
    doubling = Doubling()
    network.compile(Graph("a", doubling))
    for number in (1.0, 2.5):
        (result,) = network.run(Graph("a", doubling), {"x": np.array([number], np.float32)})
        np.testing.assert_array_equal(result, [2 * number])
    assert doubling.built == 1


def test_results_stay_when_the_graph_runs_again(network: Network) -> None:
    doubling = Doubling()
    (first,) = network.run(Graph("a", doubling), {"x": np.ones(3, np.float32)})
    network.run(Graph("a", doubling), {"x": np.zeros(3, np.float32)})
    np.testing.assert_array_equal(first, [2, 2, 2])


def test_the_graph_used_longest_ago_goes_first(network: Network) -> None:
    doubling = Doubling()
    for key in "abcdef":
        network.compile(Graph(key, doubling))
    network.compile(Graph("a", doubling))
    network.compile(Graph("g", doubling))  # b goes
    assert doubling.built == 7
    network.compile(Graph("a", doubling))
    assert doubling.built == 7
    network.compile(Graph("b", doubling))
    assert doubling.built == 8


@pytest.mark.parametrize(("megabytes", "kept"), [(0, 16), (33, 16), (96, 8), (1700, 2)])
def test_as_many_graphs_are_kept_as_fit(megabytes: int, kept: int, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    with weights.open("wb") as file:
        file.truncate(megabytes << 20)
    assert kept_graphs(NetworkFiles("unet", {}, weights)) == kept


def test_threads_take_turns(network: Network) -> None:
    doubling = Doubling()

    def run(number: int) -> float:
        (result,) = network.run(Graph("a", doubling), {"x": np.full(1000, number, np.float32)})
        assert (result == result[0]).all()
        return float(result[0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(32))) == [2.0 * number for number in range(32)]
    assert doubling.built == 1


def test_what_openvino_refuses_is_a_damaged_model(network: Network) -> None:
    def mismatched() -> tuple[Any, None]:
        return op.matmul(op.constant(np.ones((2, 3))), op.constant(np.ones((2, 3))), False, False), None

    with pytest.raises(ModelFileError, match=r"unet/weights\.safetensors does not fit its config\.json"):
        network.compile(Graph("a", mismatched))


def test_the_processor_is_asked_what_it_multiplies() -> None:
    assert has_bfloat16(shared_core()) in (True, False)
    assert has_int8(shared_core()) in (True, False)


def test_the_processor_and_openvino_have_names() -> None:
    assert "FP32" in processor(shared_core())
    assert version().startswith("20")


def test_a_stored_graph_is_not_built_again(tmp_path: Path) -> None:
    storing, reading = Doubling(), Doubling()
    x = {"x": np.array([1.5, -3], np.float32)}
    expected = made(cache(tmp_path, storing=True)).run(Graph("a", storing), x)
    stored = cache(tmp_path)
    network = made(stored)
    np.testing.assert_array_equal(network.run(Graph("a", reading), x), expected)
    assert (storing.built, reading.built) == (1, 0)
    network.run(Graph("b", reading), x)
    assert reading.built == 1
    assert stored.notes == ()


def test_a_graph_of_another_network_is_not_used(tmp_path: Path) -> None:
    made(cache(tmp_path, storing=True)).compile(Graph("a", Doubling()))
    files = NetworkFiles("vae", {}, Path("vae/weights.safetensors"))
    doubling = Doubling()
    Network(shared_core(), files, OPTIONS, name="decoder", cache=cache(tmp_path)).compile(
        Graph("a", doubling)
    )
    assert doubling.built == 1


def test_storing_builds_anew(tmp_path: Path) -> None:
    doubling = Doubling()
    for _ in range(2):
        made(cache(tmp_path, storing=True)).compile(Graph("a", doubling))
    assert doubling.built == 2


def test_what_openvino_cannot_read_is_built(tmp_path: Path) -> None:
    with cache(tmp_path, storing=True).writing("unet", "a") as file:
        file.write(np.random.default_rng(0).bytes(5000))
    stored, doubling = cache(tmp_path), Doubling()
    (result,) = made(stored).run(Graph("a", doubling), {"x": np.ones(1, np.float32)})
    np.testing.assert_array_equal(result, [2])
    assert doubling.built == 1
    assert "is refused by openvino" in stored.notes[0]


def test_the_exported_bytes_are_openvinos_own() -> None:
    model, _ = Doubling()()
    compiled = shared_core().compile_model(model, "CPU", OPTIONS)
    whole, ours = io.BytesIO(), io.BytesIO(bytes(HEAD_BYTES))
    compiled.export_model(whole)
    ours.seek(HEAD_BYTES)
    export(compiled, ours)
    assert ours.getvalue() == bytes(HEAD_BYTES) + whole.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="no such limit")
def test_a_graph_that_does_not_fit_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    import resource

    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    network = made(cache(tmp_path, storing=True))
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEAD_BYTES + 100, usual[1]))
    try:
        with pytest.raises(OutputError, match="the disk is full"):
            network.compile(Graph("a", Doubling()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert list((tmp_path / "d" / "float32").iterdir()) == []


def test_a_graph_is_prepared_once_beside_the_caller(network: Network) -> None:
    doubling, waiting = Doubling(), threading.Event()

    def slow() -> tuple[Any, None]:
        assert waiting.wait(10)
        return doubling()

    compile_ahead((network, Graph("a", slow)), (network, Graph("b", doubling)))
    waiting.set()  # it came back before it was done
    (result,) = network.run(Graph("a", slow), {"x": np.ones(1, np.float32)})
    np.testing.assert_array_equal(result, [2])
    network.compile(Graph("b", doubling))
    compile_ahead((network, Graph("a", slow)), (network, Graph("b", doubling)))
    assert doubling.built == 2


def test_what_cannot_be_prepared_is_told_by_who_needs_it(network: Network) -> None:
    def broken() -> tuple[Any, None]:
        raise ModelFileError("no such tensor")

    compile_ahead((network, Graph("a", broken)))
    for _ in range(2):
        with pytest.raises(ModelFileError, match="no such tensor"):
            network.compile(Graph("a", broken))


def test_what_was_compiled_is_stored_afterwards_up_to_a_limit(tmp_path: Path) -> None:
    first = made(cache(tmp_path))
    for key in "ab":
        first.compile(Graph(key, Doubling()))
    first.store(0)
    assert not (tmp_path / "d").exists()
    second = made(cache(tmp_path))
    for key in "ab":
        second.compile(Graph(key, Doubling()))
    second.store(10 * HEAD_BYTES)
    second.store(10 * HEAD_BYTES)
    assert len(list((tmp_path / "d" / "float32").iterdir())) == 2
    doubling = Doubling()
    third = made(cache(tmp_path))
    for key in "abc":
        third.compile(Graph(key, doubling))
    assert doubling.built == 1
    third.store(1)  # there is more than that
    assert len(list((tmp_path / "d" / "float32").iterdir())) == 2


def test_graphs_of_another_machine_stay(tmp_path: Path) -> None:
    made(cache(tmp_path, storing=True)).compile(Graph("a", Doubling()))
    place, doubling = CachePlace(tmp_path, "d"), Doubling()
    (path,) = (tmp_path / "d" / "float32").iterdir()
    before = path.read_bytes()
    elsewhere = made(GraphCache(place, "float32", Maker("", "", "another processor", OPTIONS)))
    elsewhere.compile(Graph("a", doubling))
    elsewhere.store(10 * HEAD_BYTES)
    assert (doubling.built, path.read_bytes()) == (1, before)
    newer = made(GraphCache(place, "float32", Maker("", "2099.1", "", OPTIONS)))
    newer.compile(Graph("a", doubling))
    newer.store(10 * HEAD_BYTES)
    assert (doubling.built, path.read_bytes() == before) == (2, False)


INTERRUPTED = """
import signal
import numpy as np
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.runtime import op, ov

def compiled():
    x = op.parameter([-1], ov.Type.f32, name="x")
    model = ov.Model([op.result(op.multiply(x, op.constant(np.float32(2))))], [x], "doubling")
    return shared_core().compile_model(model, "CPU", {})

first, second = compiled(), compiled()
del first
del second
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_is_survived_after_graphs_are_gone() -> None:
    """With an entry point each, what is left of the first would be the stack that signals arrive on."""
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr
