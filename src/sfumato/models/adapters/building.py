"""From the adapters of a resolved recipe to what they do to every tensor of a model."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from sfumato.models.adapters.blocks import factor_of
from sfumato.models.adapters.changes import TOKENS, Changes, NetworkChanges
from sfumato.models.adapters.kinds import Floats, Row
from sfumato.models.adapters.layouts import Matched, read_rows
from sfumato.models.adapters.reading import AdapterFile
from sfumato.models.adapters.target import UNET, Target
from sfumato.models.adapters.textual import read_words
from sfumato.recipe.adapters import ResolvedAdapter, ResolvedAdapters

Ids = Mapping[str, tuple[int, ...]]  # of words, by name in small letters


def changes_of(
    part: ResolvedAdapters, files: Mapping[str, AdapterFile], target: Target, model: str
) -> tuple[Changes, tuple[str, ...]]:
    """Read the adapters of `part` from `files`, by sha256, and return what they do, and sentences for people
    about what of them does not fit. Raises ModelFileError as `read_rows` and `read_words` do.
    """
    rows: dict[str, dict[str, tuple[tuple[Row, float], ...]]] = {}
    warnings: list[str] = []
    for one in part.adapters:
        matched = read_rows(files[one.digest], target, model)
        warning = matched.warning(one.name)
        warnings += [] if warning is None else [warning]
        for network, some in matched.rows.items():
            table = rows.setdefault(network, {})
            for row in some:
                strength = _strength(one, network, row, matched)
                if strength != 0:
                    table[row.key] = (*table.get(row.key, ()), (row, strength))
    words: dict[str, list[Floats]] = {}
    for one in part.embeddings:
        for network, vectors in read_words(files[one.digest], target, model).items():
            words.setdefault(network, []).append(vectors)
    networks = {
        network: NetworkChanges(
            rows.get(network, {}), np.concatenate(words[network]) if network in words else None
        )
        for network in dict.fromkeys((*rows, *words))
        if rows.get(network) or network in words
    }
    return Changes(fingerprint(part), networks), tuple(warnings)


def word_ids(
    part: ResolvedAdapters, files: Mapping[str, AdapterFile], target: Target, model: str
) -> tuple[Ids, ...]:
    """Return the tokens of the embeddings of `part`, for each text encoder: those behind its own."""
    made: list[Ids] = []
    for network, tensors in target.shapes.items():
        if TOKENS not in tensors:
            continue
        following = tensors[TOKENS][0]
        ids: dict[str, tuple[int, ...]] = {}
        for one in part.embeddings:
            count = len(read_words(files[one.digest], target, model)[network])
            ids[one.name.casefold()] = tuple(range(following, following + count))
            following += count
        made.append(ids)
    return tuple(made)


def fingerprint(part: ResolvedAdapters) -> str:
    """Return the sha256 (hex) of all that decides what adapters do: contents, weights, blocks and order, not
    names.
    """
    laid = [[one.digest, one.weight, one.text_weight, one.blocks] for one in part.adapters]
    said = [laid, [one.digest for one in part.embeddings]]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _strength(one: ResolvedAdapter, network: str, row: Row, matched: Matched) -> float:
    weight = one.weight if network == UNET else one.text_weight
    return weight * factor_of(matched.blocks[f"{network}.{row.key}"], one.blocks)
