"""A backend of its own kind: hands every call on to a real one, and keeps the books."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.base import Backend


@dataclass(eq=False)
class Recorder:
    """Counts the rows of every `predict`, keeps its timesteps, and may cap rows or break numbers.

    From the call after `poison_after` on, outputs are NaN, as from a damaged model; likewise the decoder's.
    """

    inner: Backend
    limit: int | None = None
    poison_after: int | None = None
    poison_decoder: bool = False
    rows: list[int] = field(default_factory=list)
    timesteps: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"recorded {self.inner.name}"

    def asarray(self, a: NDArray[np.float32]) -> Any:
        return self.inner.asarray(a)

    def to_numpy(self, x: Any) -> NDArray[np.float32]:
        return self.inner.to_numpy(x)

    def encode_text(self, ids: NDArray[np.int64]) -> Any:
        return self.inner.encode_text(ids)

    def predict(self, x: Any, t: float, context: Any) -> Any:
        self.rows.append(x.shape[0])
        self.timesteps.append(t)
        output = self.inner.predict(x, t, context)
        broken = self.poison_after is not None and len(self.rows) > self.poison_after
        return output * float("nan") if broken else output

    def encode_image(self, pixels: NDArray[np.float32]) -> Any:
        return self.inner.encode_image(pixels)

    def decode(self, latents: Any) -> NDArray[np.float32]:
        pixels = self.inner.decode(latents)
        return pixels * np.float32("nan") if self.poison_decoder else pixels

    def max_rows(self, height: int, width: int) -> int:
        most = self.inner.max_rows(height, width)
        return most if self.limit is None else min(most, self.limit)
