"""Graphs that are compiled when they are first needed, or come from the cache on disk, and are kept."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.cache import HEAD_BYTES, GraphCache
from sfumato.models.backends.openvino.runtime import ov
from sfumato.models.files import NetworkFiles, damaged

Arrays = Mapping[str, NDArray[Any]]
# An openvino model, and what must stay in memory as long as it does: the weights that it maps.
Build = Callable[[], tuple[Any, Any]]

_KEPT = 6  # compiled graphs of one small network: sizes and batches a user goes back and forth between


class Network:
    """One network of a model: compiled graphs by key, each with what it needs to run.

    `name` is what `cache`, if there is one, knows it by. Safe for several threads, which take turns.
    Compiling a graph raises ModelFileError when the weights do not fit the configuration, and OutputError
    when the cache is one to store in and cannot be written.
    """

    def __init__(
        self,
        core: Any,
        files: NetworkFiles,
        options: Mapping[str, str],
        *,
        name: str = "",
        cache: GraphCache | None = None,
    ) -> None:
        self._core = core
        self._files = files
        self._options = dict(options)
        self._name = name
        self._cache = cache
        self._requests: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, key: Hashable, build: Build) -> None:
        """Have the graph `key` ready; `build` makes it when it is not."""
        with self._lock:
            self._ready(key, build)

    def run(self, key: Hashable, build: Build, inputs: Arrays) -> list[NDArray[np.float32]]:
        """Return the outputs of the graph `key` for `inputs` by name."""
        with self._lock:
            request = self._ready(key, build)
            results = request.infer(dict(inputs))
            return [np.array(results[number]) for number in range(len(results))]

    def _ready(self, key: Hashable, build: Build) -> Any:
        if key in self._requests:
            self._requests.move_to_end(key)
            return self._requests[key][0]
        while len(self._requests) >= _KEPT:
            self._requests.popitem(last=False)
        compiled, needed = self._stored(key) or self._built(key, build)
        request = compiled.create_infer_request()
        self._requests[key] = request, needed
        return request

    def _stored(self, key: Hashable) -> tuple[Any, Any] | None:
        """Return the graph `key` from the cache, and what it maps; None when there is none to be used."""
        graph = None if self._cache is None else self._cache.find(self._name, key)
        if graph is None or self._cache is None:
            return None
        try:
            return self._core.import_model(ov.Tensor(graph), "CPU", self._options), graph
        except RuntimeError:
            self._cache.reject(self._name, key)
            return None

    def _built(self, key: Hashable, build: Build) -> tuple[Any, Any]:
        try:
            model, weights = build()
            compiled = self._core.compile_model(model, "CPU", self._options)
        except RuntimeError as error:
            # What openvino says is long; its last line names the cause.
            lines = [line for line in str(error).splitlines() if line.strip()]
            what = f"does not fit its config.json ({lines[-1].strip() if lines else error})"
            raise damaged(self._files.weights, what) from error
        if self._cache is not None and self._cache.storing:
            with self._cache.writing(self._name, key) as file:
                export(compiled, file)
        return compiled, weights


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


def processor(core: Any) -> str:
    """Return the name of this processor and what it can do: a virtual machine may hide some of it."""
    abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} ({' '.join(sorted(abilities))})"


def version() -> str:
    """Return the version of openvino."""
    return str(ov.get_version())
