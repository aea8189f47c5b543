"""How much memory torch's device has left."""

import torch

from sfumato.models.backends.torch import device_of
from sfumato.models.memory import available_memory


def room(name: str) -> tuple[str, int]:
    """Return the kind of the device called `name`, as `load_torch` takes it ("cpu", "cuda", "mps"), and the
    bytes of its memory that are free. Raises InputError.
    """
    device = device_of(name)
    if device.type == "cuda":
        return device.type, torch.cuda.mem_get_info(device)[0]
    return device.type, available_memory()
