"""openvino comes without its converter and without telemetry."""

import subprocess
import sys


def test_neither_telemetry_nor_torch_is_imported() -> None:
    code = """
import sys
import sfumato.models.backends.openvino.backend
assert "openvino" in sys.modules
assert "openvino.tools.ovc" not in sys.modules
print([name for name in sys.modules if name.split(".")[0] in ("openvino_telemetry", "torch")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_converter_can_be_had_later() -> None:
    code = """
import sfumato.models.backends.openvino.runtime
from openvino.tools.ovc import convert_model
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
