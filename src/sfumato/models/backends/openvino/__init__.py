"""The compiled backend: graphs of OpenVINO, built from a model folder without torch.

`unsupported` says why a folder cannot be built; `load_openvino` loads one. openvino is imported by the latter
only.
"""

from sfumato.models.backends.openvino.support import unsupported as unsupported
