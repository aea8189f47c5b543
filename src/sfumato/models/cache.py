"""Loaded models that are kept for the next drawing: the least recently used go first.

A model in use is never dropped. Whoever needs one holds a lease, a context manager, and knows the model only
inside of it: memory comes back when nobody refers to a dropped model any more.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from sfumato.models.backends.selection import choose
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import FoundModel, is_large, load, make_bundle
from sfumato.models.memory import give_back, system_memory
from sfumato.settings import Settings

SHARE: Final = 2  # of the machine's memory, one part in so many is for models that are kept
MOST_MODELS: Final = 8


@dataclass(frozen=True)
class CachedModel:
    """A model that a cache holds: its `name`, about how many bytes it takes, with what it keeps beside the
    model (adapters laid over a copy of it, ControlNets), and how many leases it has.
    """

    name: str
    num_bytes: int
    users: int


@dataclass(eq=False)
class _Entry:
    """A model that is loaded, or being loaded while `bundle` is None."""

    name: str
    num_bytes: int
    users: int = 1
    bundle: ModelBundle | None = None
    beside: int = 0  # bytes of what its backend keeps beside the model, when nobody draws with it
    size: tuple[int, int] | None = None  # of the pictures that it was loaded for
    said: int = 0  # how many notes of the bundle are those of finding the model, which come first


class ModelCache:
    """Loaded models of one process, at most `max_models`, of about `max_bytes` in all (None: half of the
    machine's memory). More is there only while more is in use. Safe for several threads: who asks for a model
    that is being loaded waits for it, and models are loaded one after the other.
    """

    def __init__(self, *, max_bytes: int | None = None, max_models: int = MOST_MODELS) -> None:
        self._max_bytes = system_memory() // SHARE if max_bytes is None else max_bytes
        self._max_models = max_models
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._changed = threading.Condition()
        self._loading = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "ModelCache":
        """Return an empty cache with the limit of `settings`."""
        return cls(max_bytes=settings.cache_memory)

    @property
    def models(self) -> tuple[CachedModel, ...]:
        """What is there, the least recently used first."""
        with self._changed:
            loaded = [one for one in self._entries.values() if one.bundle is not None]
            return tuple(CachedModel(one.name, one.num_bytes + one.beside, one.users) for one in loaded)

    @contextmanager
    def lease(
        self,
        found: FoundModel,
        settings: Settings,
        size: tuple[int, int] | None = None,
        refiner: FoundModel | None = None,
    ) -> Iterator[ModelBundle]:
        """Give the model `found`, loaded as `settings` say, for as long as the context lasts; it is loaded
        when it is not there. `size` is that of the pictures and `refiner` what is leased next, as
        `sfumato.models.load.load` takes them, and raises. The seconds of a model that was there are those of
        finding it.
        """
        key = _key(found, settings)
        entry = self._taken(key, found, settings, size, refiner)
        try:
            assert entry.bundle is not None
            mine = entry.bundle.defaults is found.defaults and size == entry.size
            notes = (*found.notes, *entry.bundle.notes[entry.said :])
            yield entry.bundle if mine else _known(entry.bundle, found, settings, size, notes)
        finally:
            self._left(entry)

    def clear(self) -> None:
        """Drop every model that is not in use."""
        with self._changed:
            dropped = [key for key, one in self._entries.items() if one.users == 0]
            for key in dropped:
                del self._entries[key]
        if dropped:
            give_back()

    def drop(self, name: str) -> bool:
        """Drop the model called `name`, however it was loaded, unless it is in use; tell whether one went."""
        with self._changed:
            dropped = [key for key, one in self._entries.items() if one.name == name and one.users == 0]
            for key in dropped:
                del self._entries[key]
        if dropped:
            give_back()
        return bool(dropped)

    def _taken(
        self,
        key: Hashable,
        found: FoundModel,
        settings: Settings,
        size: tuple[int, int] | None,
        refiner: FoundModel | None,
    ) -> _Entry:
        """Return the entry of a model, loaded and counted as in use."""
        with self._changed:
            while (entry := self._entries.get(key)) is not None:
                if entry.bundle is not None:
                    entry.users += 1
                    self._entries.move_to_end(key)
                    return entry
                self._changed.wait()  # until it is loaded, or could not be
            entry = _Entry(found.defaults.name, 0, size=size, said=len(found.notes))
            self._entries[key] = entry
        try:
            with self._loading:
                entry.num_bytes = self._make_room(found, settings, size, refiner)
                entry.bundle = load(found, settings, None, size, refiner)
        except BaseException:
            with self._changed:
                del self._entries[key]
                self._changed.notify_all()
            raise
        with self._changed:
            self._changed.notify_all()
        return entry

    def _left(self, entry: _Entry) -> None:
        """Count a user of `entry` less, and drop what is too much."""
        beside = 0 if entry.bundle is None else entry.bundle.backend.beside
        with self._changed:
            entry.users -= 1
            entry.beside = beside
        self._drop_while(0)

    def _make_room(
        self,
        found: FoundModel,
        settings: Settings,
        size: tuple[int, int] | None,
        refiner: FoundModel | None,
    ) -> int:
        """Drop what has to go before a model is loaded, and return about how many bytes it will take."""
        files, second = found.files, None if refiner is None else refiner.files
        num_bytes = sum(one.num_bytes for one in files.networks)
        if not is_large(files) and (second is None or not is_large(second)):
            self._drop_while(num_bytes)
            return num_bytes
        from sfumato.models.fitting import fits, kept_bytes

        backend = choose(files, settings).backend
        width, height = (found.defaults.width, found.defaults.height) if size is None else size
        num_bytes = kept_bytes(files, settings, backend, width, height)
        self._drop_while(num_bytes)
        # Rather than to load less of a model, others are dropped that nobody uses.
        while not fits(files, settings, backend, width, height, second) and self._drop_one():
            pass
        return num_bytes

    def _drop_while(self, coming: int) -> None:
        """Drop models that are not in use, while these and `coming` bytes are too much."""
        while self._drop_one(coming):
            pass

    def _drop_one(self, coming: int | None = None) -> bool:
        """Drop the least recently used model that is not in use, if, with `coming` bytes more, there is too
        much; None: in any case. Tell whether one went.
        """
        with self._changed:
            taken = sum(one.num_bytes + one.beside for one in self._entries.values())
            few = len(self._entries) <= self._max_models
            if coming is not None and few and taken + coming <= self._max_bytes:
                return False
            idle = next((key for key, one in self._entries.items() if one.users == 0), None)
            if idle is None:
                return False
            entry = self._entries[idle]
            if entry.beside and entry.bundle is not None:
                # What lies over a model, and what steers it, is made again sooner than the model is loaded.
                entry.bundle.backend.forget()
                entry.beside = 0
            else:
                del self._entries[idle]
        give_back()
        return True


def _key(found: FoundModel, settings: Settings) -> Hashable:
    """Return what a loaded model is known by: what it draws, and what decides how it is run."""
    given = found.defaults.vae, found.defaults.schedule
    kept = settings.offload, settings.storage, settings.max_memory
    run = settings.backend, settings.device, settings.dtype, settings.torch_compile
    return found.defaults.digest, given, kept, run


def _known(
    kept: ModelBundle,
    found: FoundModel,
    settings: Settings,
    size: tuple[int, int] | None,
    notes: tuple[str, ...],
) -> ModelBundle:
    """Return a loaded model as what was found now: its name and defaults, with the same networks and with
    `notes`, decoding pictures of this `size` in what memory is left.
    """
    seconds = {"import": 0.0, "load": found.seconds}
    latents, files = kept.max_latents, found.files
    if size is not None and is_large(files):
        from sfumato.models.fitting import decodes_within

        fewer = decodes_within(files, settings, choose(files, settings).backend, *size)
        latents = fewer if latents is None else latents if fewer is None else min(latents, fewer)
    return replace(make_bundle(found, kept.backend, seconds, notes, latents), settings=kept.settings)
