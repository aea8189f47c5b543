"""The library as the tab Models knows it: looked through when somebody asks, and kept in between.

What is in it is named by keys that tell nothing of paths: a visitor can choose from the library, and name
nothing else.
"""

import hashlib
import os
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sfumato.errors import NotFoundError
from sfumato.models.facts import ADAPTER, CHECKPOINT, CONTROLNET, EMBEDDING, FOLDER, LORA, UPSCALER, VAE
from sfumato.models.library import MODELS, Entry, list_library, short_hash
from sfumato.models.load import list_models
from sfumato.settings import Settings

#: The kinds that people look for; all that are neither of these are `OTHER`.
KINDS: Final = (CHECKPOINT, FOLDER, LORA, EMBEDDING, VAE, CONTROLNET, ADAPTER, UPSCALER)
OTHER: Final = "other"


@dataclass(frozen=True)
class Item:
    """Something in the library: `key` names it, and `problem` says why it cannot be used, without paths."""

    key: str
    entry: Entry
    problem: str | None = None

    @property
    def draws(self) -> bool:
        """Whether it is a model to draw with."""
        return self.entry.kind in MODELS and self.problem is None

    @property
    def words(self) -> tuple[str, ...]:
        """Its trigger words."""
        facts = self.entry.facts
        return () if facts is None else tuple(word for word, _ in facts.notes.words)


class Shelf:
    """What there is, as of the last look; before the first one nothing. For several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looking = threading.Lock()
        self._items: tuple[Item, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        return self._items

    @property
    def missing(self) -> tuple[Path, ...]:
        """Folders of models that the settings name and that are not there now."""
        return tuple(one for one in self._settings.model_dirs if not one.is_dir())

    def look(self) -> tuple[Item, ...]:
        """Look through the folders of models, and return what there is."""
        with self._looking:
            # What is drawn with is checked whole, and not only its header.
            faults = {(one.name, one.folder): one.problem for one in list_models(self._settings)}
            found: list[Item] = []
            for entry in list_library(self._settings):
                problem = entry.problem
                if problem is None and entry.kind in MODELS:
                    problem = faults.get((entry.name, entry.path))
                found.append(Item(_key(entry), entry, _without_path(problem, entry.path)))
            self._items = tuple(found)
            return self._items

    def with_hashes(self) -> tuple[Item, ...]:
        """Return what there was at the last look, with the hashes that are known by now."""
        with self._looking:
            self._items = tuple(self._hashed(one) for one in self._items)
            return self._items

    def get(self, key: str) -> Item:
        """Return what is called `key`, if it is still there. Raises NotFoundError."""
        item = next((one for one in self._items if one.key == key), None)
        if item is None or not item.entry.path.exists():
            hint = "Refresh the list."
            raise NotFoundError("it is not in the library any more", field="model", hint=hint)
        return item

    def search(self, words: str, kind: str = "") -> tuple[Item, ...]:
        """Return what has all of `words` in its name, family, licence or trigger words, whatever their case,
        and is of this kind: one of `KINDS`, `OTHER` for all others, "" for any.
        """
        wanted = words.casefold().split()
        return tuple(
            one
            for one in self._items
            if (kind in ("", one.entry.kind) or (kind == OTHER and one.entry.kind not in KINDS))
            and all(word in _text(one) for word in wanted)
        )

    def _hashed(self, item: Item) -> Item:
        entry = item.entry
        if entry.digest is not None or entry.facts is None:
            return item
        digest = short_hash(entry.path, entry.kind, self._settings)
        return item if digest is None else replace(item, entry=replace(entry, digest=digest))


def _key(entry: Entry) -> str:
    return hashlib.sha256(os.fsencode(entry.path)).hexdigest()[:16]


def _without_path(problem: str | None, path: Path) -> str | None:
    """Return a problem as anybody may read it: files are named within the folder that the model is in, and
    paths that errors have cut are left out.
    """
    if problem is None:
        return None
    text = problem.replace(f"{path.parent}{os.sep}", "")
    return re.sub(rf" \(got (['\"]){re.escape(path.anchor)}.*?\1(\.\.\. \d+ characters)?\)", "", text)


def _text(item: Item) -> str:
    facts = item.entry.facts
    said = () if facts is None else (facts.family or "", facts.title or "", facts.notes.licence or "")
    return " ".join((item.entry.name, item.entry.kind, *said, *item.words)).casefold()
