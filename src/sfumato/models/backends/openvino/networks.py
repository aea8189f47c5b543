"""Graphs that are compiled when they are first needed, or come from the cache on disk, and are kept."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.cache import HEAD_BYTES, GraphCache
from sfumato.models.backends.openvino.runtime import ov
from sfumato.models.memory import ran_out
from sfumato.models.network_files import NetworkFiles, damaged

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Graph:
    """A graph that can be made: what it is known by in its network, and how to make it.

    `build` returns an openvino model, and what must stay in memory as long as it does: the weights it maps.
    A `hasty` graph is ready in two thirds of the time, or half of it when it was stored, and runs slower: the
    bundled UNet by 2 to 14 % with two rows, by 20 % with eight.
    """

    key: Hashable
    build: Callable[[], tuple[Any, Any]]
    hasty: bool = False


# Graphs for one exact shape run a quarter faster in small networks, and take a third of a second to make. In
# large ones the difference is 2 %, and each graph holds its own copy of the weights.
SMALL_BYTES: Final = 128 * 2**20
# Of all compiled graphs of one small network: sizes and batches that a user goes back and forth between.
KEPT_BYTES: Final = 768 * 2**20


class Network:
    """One network of a model: compiled graphs by key, each with what it needs to run.

    `name` is what `cache`, if there is one, knows it by; `kept` graphs stay ready at most. Safe for
    several threads, which take turns. Compiling a graph raises ModelFileError when the weights do not fit the
    configuration, and OutputError when the cache is one to store in and cannot be written.
    """

    def __init__(
        self,
        core: Any,
        files: NetworkFiles,
        options: Mapping[str, str],
        *,
        name: str = "",
        cache: GraphCache | None = None,
        kept: int = 6,
    ) -> None:
        self._core = core
        self._files = files
        self._options = dict(options)
        self._name = name
        self._cache = cache
        self._kept = kept
        self._requests: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()
        self._unstored: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def compile(self, graph: Graph) -> None:
        """Have `graph` ready."""
        with self._lock:
            self._ready(graph)

    def run(self, graph: Graph, inputs: Arrays) -> list[NDArray[np.float32]]:
        """Return the outputs of `graph` for `inputs` by name."""
        with self._lock:
            request = self._ready(graph)
            results = request.infer(dict(inputs))
            return [np.array(results[number]) for number in range(len(results))]

    def store(self, limit: int) -> None:
        """Write graphs that were compiled here, and that the cache has not, into it, as long as it holds less
        than `limit` bytes. Raises OutputError.
        """
        with self._lock:
            while self._unstored and self._cache is not None:
                key, compiled = self._unstored.popitem()
                if self._cache.has_room(self._name, key, limit):
                    with self._cache.writing(self._name, key) as file:
                        export(compiled, file)

    def has(self, graph: Graph) -> bool:
        """Tell whether `graph` is ready."""
        return graph.key in self._requests

    def _ready(self, graph: Graph) -> Any:
        key = graph.key
        if key in self._requests:
            self._requests.move_to_end(key)
            return self._requests[key][0]
        while len(self._requests) >= self._kept:
            oldest, _ = self._requests.popitem(last=False)
            self._unstored.pop(oldest, None)
        compiled, needed = self._stored(graph) or self._built(graph)
        request = compiled.create_infer_request()
        self._requests[key] = request, needed
        return request

    def _stored(self, graph: Graph) -> tuple[Any, Any] | None:
        """Return a graph from the cache, and what it maps; None when there is none to be used."""
        stored = None if self._cache is None else self._cache.find(self._name, graph.key)
        if stored is None or self._cache is None:
            return None
        try:
            return self._core.import_model(ov.Tensor(stored), "CPU", self._options_of(graph)), stored
        except RuntimeError as error:
            if ran_out(error):
                raise
            self._cache.reject(self._name, graph.key)
            return None

    def _built(self, graph: Graph) -> tuple[Any, Any]:
        try:
            model, weights = graph.build()
            compiled = self._core.compile_model(model, "CPU", self._options_of(graph))
        except RuntimeError as error:
            if ran_out(error):
                raise
            # What openvino says is long; its last line names the cause.
            lines = [line for line in str(error).splitlines() if line.strip()]
            what = f"does not fit its config.json ({lines[-1].strip() if lines else error})"
            raise damaged(self._files.weights, what) from error
        if self._cache is not None and self._cache.storing:
            with self._cache.writing(self._name, graph.key) as file:
                export(compiled, file)
        elif self._cache is not None:
            self._unstored[graph.key] = compiled
        return compiled, weights

    def _options_of(self, graph: Graph) -> dict[str, str]:
        # Snippets are kernels that openvino writes for chains of small operations.
        return {**self._options, "SNIPPETS_MODE": "DISABLE"} if graph.hasty else self._options


def compile_ahead(*jobs: tuple[Network, Graph]) -> None:
    """Begin to make graphs ready that are not, one after the other, in a thread of their own. Never raises:
    what is wrong is said when a graph is needed.
    """

    def work() -> None:
        for network, graph in missing:
            with suppress(Exception):
                network.compile(graph)

    missing = [(network, graph) for network, graph in jobs if not network.has(graph)]
    if missing:
        # No daemon: one of those would be stopped in the middle of compiled code when the process ends.
        threading.Thread(target=work, name="compile ahead").start()


def kept_graphs(files: NetworkFiles) -> int:
    """Return how many graphs of a network to keep ready, 2 to 16: each holds weights of its own."""
    return min(16, max(2, KEPT_BYTES // max(1, files.num_bytes)))


def is_small(files: NetworkFiles) -> bool:
    """Tell whether a network gets graphs of exactly one shape."""
    return files.num_bytes <= SMALL_BYTES


def export(compiled: Any, file: BinaryIO) -> None:
    """Write a compiled graph to `file` from HEAD_BYTES on. Raises what writing raises.

    The graph is in memory once more meanwhile. Of a stream of our own, openvino would lose what goes wrong
    while it writes: a full disk, or Ctrl-C.
    """
    stream = compiled.export_model()
    file.seek(HEAD_BYTES)
    file.write(stream.getbuffer())


@functools.cache
def shared_core() -> Any:
    """Return openvino's entry point, which finds the processor's abilities: the same one all through a
    process.

    Each one that compiles takes over the stack on which signals are handled, and gives back the one that it
    found when it goes. When they do not go in the opposite order, the stack that is left belongs to one that
    is gone, and the next Ctrl-C crashes the process.
    """
    return ov.Core()


def has_bfloat16(core: Any) -> bool:
    """Tell whether this processor multiplies bfloat16 numbers in hardware."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def has_int8(core: Any) -> bool:
    """Tell whether this processor multiplies whole numbers of 8 bits in hardware."""
    return "INT8" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def processor(core: Any) -> str:
    """Return the name of this processor and what it can do: a virtual machine may hide some of it."""
    abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} ({' '.join(sorted(abilities))})"


def version() -> str:
    """Return the version of openvino."""
    return str(ov.get_version())
