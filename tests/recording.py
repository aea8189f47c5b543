"""A backend of its own kind: hands every call on to a real one, and keeps the books."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.models.backends.base import NOTHING, Backend, ControlNetwork, Extra, FeatureNetwork, Work
from sfumato.models.controlnets import ControlFiles


@dataclass(eq=False)
class Recorder:
    """Counts the rows of every prediction, keeps its timesteps, and may cap rows or break numbers.

    `reused` tells of each whether it was given features. From the call after `poison_after` on, outputs are
    NaN, as from a damaged model; likewise the decoder's.
    """

    inner: Backend
    limit: int | None = None
    poison_after: int | None = None
    poison_decoder: bool = False
    rows: list[int] = field(default_factory=list)
    timesteps: list[float] = field(default_factory=list)
    reused: list[bool] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"recorded {self.inner.name}"

    @property
    def notes(self) -> tuple[str, ...]:
        return self.inner.notes

    def prepare(self, work: Work) -> None:
        self.inner.prepare(work)

    def store(self) -> None:
        self.inner.store()

    def asarray(self, a: NDArray[np.float32]) -> Any:
        return self.inner.asarray(a)

    def to_numpy(self, x: Any) -> NDArray[np.float32]:
        return self.inner.to_numpy(x)

    @property
    def has_tiny_decoder(self) -> bool:
        return self.inner.has_tiny_decoder

    def control(self, files: ControlFiles) -> ControlNetwork:
        return self.inner.control(files)

    def t2i_adapter(self, files: ControlFiles) -> FeatureNetwork:
        return self.inner.t2i_adapter(files)

    def encode_text(self, ids: NDArray[np.int64], skipped: int = 0) -> Any:
        return self.inner.encode_text(ids, skipped)

    def encode_pooled(self, ids: NDArray[np.int64], number: int = 0, skipped: int = 0) -> tuple[Any, Any]:
        return self.inner.encode_pooled(ids, number, skipped)

    def predict(self, x: Any, t: float, context: Any, extra: Extra = NOTHING) -> Any:
        self._note(x, t, reused=False)
        return self.inner.predict(x, t, context, extra) * self._poison()

    def predict_reusing(
        self, x: Any, t: float, context: Any, features: Any, extra: Extra = NOTHING
    ) -> tuple[Any, Any]:
        self._note(x, t, reused=features is not None)
        output, features = self.inner.predict_reusing(x, t, context, features, extra)
        return output * self._poison(), features

    def encode_image(self, pixels: NDArray[np.float32]) -> Any:
        return self.inner.encode_image(pixels)

    def decode(self, latents: Any) -> NDArray[np.float32]:
        pixels = self.inner.decode(latents)
        return pixels * np.float32("nan") if self.poison_decoder else pixels

    def decode_tiny(self, latents: Any) -> NDArray[np.float32]:
        return self.inner.decode_tiny(latents)

    def max_rows(self, height: int, width: int) -> int:
        most = self.inner.max_rows(height, width)
        return most if self.limit is None else min(most, self.limit)

    def _note(self, x: Any, t: float, *, reused: bool) -> None:
        self.rows.append(x.shape[0])
        self.timesteps.append(t)
        self.reused.append(reused)

    def _poison(self) -> float:
        broken = self.poison_after is not None and len(self.rows) > self.poison_after
        return float("nan") if broken else 1.0
