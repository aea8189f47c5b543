"""A loaded model that lets go of its weights, and computes the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.files import locate
from tiny_models import tiny_bundle, tiny_folder


def loaded() -> TorchBackend:
    return load_torch(locate(tiny_folder()), "cpu", "float32")


def held(backend: TorchBackend) -> int:
    """Return how many numbers of weights are in memory."""
    networks: tuple[torch.nn.Module, ...] = backend.unet, backend.vae, backend.text_encoder
    return sum(one.numel() for network in networks for one in network.parameters() if not one.is_meta)


def outputs(backend: TorchBackend) -> list[NDArray[Any]]:
    context = backend.encode_text(np.arange(16)[None])
    x = backend.asarray(np.linspace(-1, 1, 4 * 8 * 8, dtype=np.float32).reshape(1, 4, 8, 8))
    predicted = backend.predict(x, 500.0, context)
    return [backend.to_numpy(one) for one in (context, predicted)] + [backend.decode(x)]


def test_it_computes_the_same_with_less() -> None:
    backend = loaded()
    before, whole = outputs(backend), held(backend)
    first = backend.leaner()
    assert first is not None
    assert first.keeping is not None
    assert first.keeping.offload == "component"
    assert held(first) < whole / 20
    second = first.leaner()
    assert second is not None
    assert second.keeping is not None
    assert second.keeping.offload == "sequential"
    assert second.leaner() is None
    # Bit by bit, and the old backend as well, which has let go of its weights.
    for one in (second, first, backend):
        for ours, theirs in zip(outputs(one), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert held(backend) < whole / 20


def test_where_nothing_can_be_read_again() -> None:
    training = tiny_bundle().backend
    assert isinstance(training, TorchBackend)
    assert replace(training, files=None).leaner() is None
