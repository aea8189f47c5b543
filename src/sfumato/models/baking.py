"""Bake adapters into the weights of a model: what is written has them for good, and says so.

The arithmetic is that of adapters that are laid over a model (`sfumato.models.adapters.kinds`), and so are
the results: in float32, rounded once to what is written.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sfumato.errors import ModelFileError, shown
from sfumato.models.adapters.building import changes_of
from sfumato.models.adapters.changes import Changes
from sfumato.models.adapters.finding import find_adapter, known_adapters
from sfumato.models.adapters.reading import AdapterFile
from sfumato.models.adapters.target import target_of
from sfumato.models.files import ModelFiles
from sfumato.models.notes import LORAS
from sfumato.models.original.kinds import kind_of
from sfumato.models.safetensors_header import read_header
from sfumato.recipe.adapters import Adapter, ResolvedAdapter, ResolvedAdapters
from sfumato.settings import Settings

#: What goes over from the metadata of a model to what is made of it: who made it, under which licence, and of
#: what.
_KEPT: Final = (
    "license",
    "modelspec.author",
    "modelspec.date",
    "modelspec.license",
    "modelspec.title",
    "modelspec.trigger_phrase",
    "sfumato.merge",
    LORAS,
)
_EMBEDDING: Final = "an embedding (textual inversion)"


@dataclass(frozen=True, eq=False)
class Baked:
    """What is baked in: the `changes` of every network, by which adapters, and sentences for people about
    what of them does not fit.
    """

    changes: Changes
    adapters: tuple[ResolvedAdapter, ...] = ()
    warnings: tuple[str, ...] = ()


NOTHING: Final = Baked(Changes("", {}))


def bake(asked: Sequence[Adapter], files: ModelFiles, settings: Settings) -> Baked:
    """Find the adapters `asked`, names or files, and read what they do to the model `files`.

    Their factors are in memory then; each changed tensor is computed when it is written. Raises RecipeError
    for one that is not there, ModelFileError for one that cannot be used, that is a word instead, or that
    fits nothing of the model.
    """
    if not asked:
        return NOTHING
    found = [_found(one, settings) for one in asked]
    pinned = tuple(_pinned(one, file) for one, file in zip(asked, found, strict=True))
    by_digest = {file.digests().whole: file for file in found}
    part = ResolvedAdapters(adapters=pinned)
    changes, warnings = changes_of(part, by_digest, target_of(files), files.folder.name)
    return Baked(changes, pinned, warnings)


def notes_with(files: ModelFiles, baked: Baked = NOTHING) -> dict[str, str]:
    """Return what metadata say of a model that is made of `files` with adapters baked in: what `files` say of
    themselves, and which adapters, those of before first.
    """
    own = read_header(files.unet.weights).metadata
    notes = {key: own[key] for key in _KEPT if key in own}
    if baked.adapters:
        before = _list(own.get(LORAS, ""))
        rows = [one.model_dump(mode="json") for one in baked.adapters]
        notes[LORAS] = json.dumps([*before, *rows], ensure_ascii=False)
    return notes


def _found(one: Adapter, settings: Settings) -> AdapterFile:
    if one.name in known_adapters("embedding", settings) and one.name not in known_adapters("lora", settings):
        raise _word(one.name)
    file = find_adapter("lora", one.name, settings, digest=one.digest)
    kind = kind_of(file.header.tensors)
    if kind is not None and kind.about == _EMBEDDING:
        raise _word(one.name)
    return file


def _word(name: str) -> ModelFileError:
    return ModelFileError(
        f"{shown(name)} is an embedding, a word of its own: it changes no weights and cannot be baked in",
        field="lora",
        value=name,
        hint="Keep it in a folder embeddings, and write its name into prompts.",
    )


def _pinned(one: Adapter, file: AdapterFile) -> ResolvedAdapter:
    return ResolvedAdapter(
        name=file.name,
        digest=file.digests().whole,
        hash=file.hash,
        weight=one.weight,
        text_weight=one.weight if one.text_weight is None else one.text_weight,
        blocks={} if one.blocks is None else one.blocks,
    )


def _list(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
