"""openvino, imported light and quiet: the only place that imports it.

On import, openvino also loads its model converter, for convenience: that takes a third of the whole import,
and brings along a module that can send usage statistics. Graphs are built and run here without either.
Where the converter cannot be imported, openvino goes on without it, so it is made unavailable meanwhile.
"""

import sys
from typing import Any

_CONVERTER = "openvino.tools.ovc"
_hidden = _CONVERTER not in sys.modules
if _hidden:
    sys.modules[_CONVERTER] = None  # pyright: ignore[reportArgumentType] - how Python marks "not importable"
try:
    import openvino
    from openvino import opset13
finally:
    if _hidden:
        del sys.modules[_CONVERTER]

ov: Any = openvino  # its types are generated and contradict one another
op: Any = opset13

__all__ = ["op", "ov"]
