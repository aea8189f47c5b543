"""What all adapters of a recipe do to a model together: the value that a backend lays over its weights."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np

from sfumato.models.adapters.kinds import Floats, Row

TOKENS: Final = "embeddings.token_embedding.weight"  # of a text encoder: a row for every token

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class NetworkChanges:
    """What happens to the tensors of one network: by name, `rows` with their strengths, one after the other.
    `words (n,D)` are new rows at the end of the table of tokens.
    """

    rows: Mapping[str, tuple[tuple[Row, float], ...]] = field(
        default_factory=dict[str, tuple[tuple[Row, float], ...]]
    )
    words: Floats | None = None

    def __contains__(self, key: str) -> bool:
        return key in self.rows or (key == TOKENS and self.words is not None)

    def applied(self, key: str, weight: Floats) -> Floats:
        """Return the tensor `key`, which is `weight` in the model, as it shall be: float32."""
        for row, strength in self.rows.get(key, ()):
            weight = row.applied(weight, strength)
        if key == TOKENS and self.words is not None:
            weight = np.concatenate([weight, self.words])
        return np.asarray(weight, np.float32)


UNCHANGED: Final = NetworkChanges()


@dataclass(frozen=True, eq=False)
class Changes:
    """`networks` by the name that `sfumato.models.files` has for them. `fingerprint` is the sha256 (hex) of
    all that decides them: files, weights, blocks and order.
    """

    fingerprint: str
    networks: Mapping[str, NetworkChanges]

    def of(self, network: str) -> NetworkChanges:
        """Return what happens to a network; nothing, where nothing does."""
        return self.networks.get(network, UNCHANGED)


class Latest(Generic[T]):
    """What was made for the adapters that were used last: a sheet of pictures needs it again and again. Safe
    for several threads.
    """

    def __init__(self) -> None:
        self._kept: tuple[str, T] | None = None
        self._lock = threading.Lock()

    def get(self, fingerprint: str, make: Callable[[], T]) -> T:
        """Return what is kept for `fingerprint`, or what `make` returns; the one before is let go first."""
        with self._lock:
            if self._kept is None or self._kept[0] != fingerprint:
                self._kept = None
                self._kept = fingerprint, make()
            return self._kept[1]

    @property
    def made(self) -> T | None:
        """What is kept; None where nothing is."""
        with self._lock:
            return None if self._kept is None else self._kept[1]

    def clear(self) -> None:
        """Let go of it; who uses it keeps it."""
        with self._lock:
            self._kept = None
