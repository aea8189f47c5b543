"""A loaded model that goes on with less of it in memory."""

from dataclasses import replace
from typing import Any, Final

import torch

from sfumato.models.adapters.changes import Latest
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.backends.torch_offload import KEPT_LAYERS
from sfumato.models.joint_files import is_transformer

#: What takes less than each way of offloading.
LESS: Final = {"none": "component", "component": "sequential"}


def leaner(backend: TorchBackend) -> TorchBackend | None:
    """Return `backend` with one network in memory at a time, or one layer; None where there is no less, and
    where nothing can be read again: adapters lie over its weights, it was not loaded from files, kernels were
    made of its UNet, or it has a transformer in that place.

    The layers of its networks are changed where they are, so that their weights go whoever still knows the
    old backend, which computes the same from then on. Raises what `load_torch` raises.
    """
    keeping, files = backend.keeping, backend.files
    next_one = LESS.get("none" if keeping is None else keeping.offload)
    compiled = vars(backend.unet).get("_compiled_call_impl") is not None
    if files is None or next_one is None or compiled or is_transformer(files.unet):
        return None
    storage = "whole" if keeping is None else keeping.storage
    dtype = str(backend.dtype).removeprefix("torch.")
    fresh = load_torch(files, str(backend.device), dtype, "off", next_one, storage)
    for old, new in (
        (backend.unet, fresh.unet),
        (backend.vae, fresh.vae),
        (backend.text_encoder, fresh.text_encoder),
        (backend.text_encoder_2, fresh.text_encoder_2),
    ):
        if old is not None and new is not None:
            _exchange(old, new)
    return replace(backend, keeping=fresh.keeping, latest=Latest["TorchBackend"]())


def _exchange(old: torch.nn.Module, new: torch.nn.Module) -> None:
    """Have the layers of `old` take their weights as those of `new` do."""
    for before, after in zip(old.modules(), new.modules(), strict=True):
        if isinstance(after, KEPT_LAYERS):
            layer: Any = before
            layer.kept = after.kept
            layer.__class__ = type(after)
            layer.weight = after.weight
