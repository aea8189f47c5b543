"""What torch's device has left."""

import pytest

from sfumato.errors import InputError
from sfumato.models.backends.torch_room import room
from sfumato.models.memory import system_memory


def test_the_processor_has_what_the_system_says() -> None:
    device, free = room("cpu")
    assert device == "cpu"
    assert 0 < free <= system_memory()


def test_a_device_that_is_not_here() -> None:
    with pytest.raises(InputError, match="this machine has no such device"):
        room("cuda:7")
