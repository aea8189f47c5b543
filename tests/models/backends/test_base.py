"""The protocol: what wraps a backend is a backend."""

import numpy as np

from recording import Recorder
from sfumato.models.backends.base import Backend
from tiny_models import tiny_bundle


def test_a_wrapped_backend_does_what_the_backend_does() -> None:
    inner = tiny_bundle().backend
    wrapped: Backend = Recorder(inner)
    x = inner.asarray(np.ones((2, 4, 8, 8), np.float32))
    context = wrapped.encode_text(np.zeros((2, 16), np.int64))
    ours, theirs = (backend.to_numpy(backend.predict(x, 10.0, context)) for backend in (wrapped, inner))
    assert np.array_equal(ours, theirs)
    assert wrapped.max_rows(8, 8) == inner.max_rows(8, 8)
