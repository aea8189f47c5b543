"""Graphs that are compiled when they are first needed, and kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.openvino.runtime import ov
from sfumato.models.files import NetworkFiles, damaged

Arrays = Mapping[str, NDArray[Any]]
# An openvino model, and what must stay in memory as long as it does: the weights that it maps.
Build = Callable[[], tuple[Any, Any]]

_KEPT = 6  # compiled graphs of one small network: sizes and batches a user goes back and forth between


class Network:
    """One network of a model: compiled graphs by key, each with what it needs to run.

    Safe for several threads, which take turns. Compiling a graph raises ModelFileError when the weights do
    not fit the configuration.
    """

    def __init__(self, core: Any, files: NetworkFiles, options: Mapping[str, str]) -> None:
        self._core = core
        self._files = files
        self._options = dict(options)
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
        try:
            model, weights = build()
            compiled = self._core.compile_model(model, "CPU", self._options)
        except RuntimeError as error:
            # What openvino says is long; its last line names the cause.
            lines = [line for line in str(error).splitlines() if line.strip()]
            what = f"does not fit its config.json ({lines[-1].strip() if lines else error})"
            raise damaged(self._files.weights, what) from error
        request = compiled.create_infer_request()
        self._requests[key] = request, weights
        return request


def new_core() -> Any:
    """Return openvino's entry point, which finds the processor's abilities."""
    return ov.Core()


def has_bfloat16(core: Any) -> bool:
    """Tell whether this processor multiplies bfloat16 numbers in hardware."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
