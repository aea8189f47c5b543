"""Networks that are loaded, and go on with less of them in memory."""

from typing import Any, Final

import torch

from sfumato.models.backends.torch_offload import KEPT_LAYERS, Keeping

#: What takes less than each way of offloading.
LESS: Final = {"none": "component", "component": "sequential"}


def less(keeping: Keeping | None) -> str | None:
    """Return the next way of offloading, which has less in memory; None after the last."""
    return LESS.get("none" if keeping is None else keeping.offload)


def is_compiled(network: torch.nn.Module) -> bool:
    """Tell whether torch.compile made kernels of a network: they know its layers as they were."""
    return vars(network).get("_compiled_call_impl") is not None


def exchange(old: torch.nn.Module, new: torch.nn.Module) -> None:
    """Have the layers of `old` take their weights as those of `new`, a network like it, do. They are changed
    where they are, so that their weights go, whoever knows the network; it computes the same.
    """
    for before, after in zip(old.modules(), new.modules(), strict=True):
        if isinstance(after, KEPT_LAYERS):
            layer: Any = before
            layer.kept = after.kept
            layer.__class__ = type(after)
            layer.weight = after.weight
