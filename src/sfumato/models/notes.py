"""What the metadata of a model and its card say to people: words that trigger an adapter, licence, author.
Anybody may have written them: texts are cut, and made printable before they are shown.

Read are the specification of Stability AI (https://github.com/Stability-AI/ModelSpec, keys "modelspec."),
what kohya's trainers write ("ss_"), and the front matter of model cards.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sfumato.models.card import Card

MAX_JSON: Final = 4 * 2**20  # characters of JSON inside a text that are parsed
MAX_WORDS: Final = 20
MAX_LINE: Final = 200  # characters of a text that is shown in a line

LORAS: Final = "sfumato.loras"  # adapters that were baked into a model, as a list in JSON
MAX_LORAS: Final = 64
_FREQUENCY: Final = "ss_tag_frequency"
_PHRASE: Final = "modelspec.trigger_phrase"


@dataclass(frozen=True)
class Notes:
    """What a file says of itself; None and empty for what it does not say. `words` are those of the captions
    it was trained with, the most frequent first, and how often they were seen; 0 where the author named them.
    `library` is what loads it, `task` what it is for, as model hubs call them.
    `loras` are adapters that `sfumato convert` baked in: as prompts would name them, and their sha256.
    """

    title: str | None = None
    author: str | None = None
    licence: str | None = None
    date: str | None = None
    architecture: str | None = None
    base: str | None = None
    resolution: str | None = None
    words: tuple[tuple[str, int], ...] = ()
    loras: tuple[tuple[str, str], ...] = ()
    library: str | None = None
    task: str | None = None


def notes_of(metadata: Mapping[str, str]) -> Notes:
    """Return what the metadata of a file say, as clean lines."""

    def first(*keys: str) -> str | None:
        texts = (line(metadata.get(key, "")) for key in keys)
        return next((text for text in texts if text and text != "None"), None)

    return Notes(
        title=first("modelspec.title", "ss_output_name"),
        author=first("modelspec.author"),
        licence=first("modelspec.license", "license"),
        date=first("modelspec.date"),
        architecture=first("modelspec.architecture", "ss_base_model_version"),
        base=first("ss_sd_model_name", "modelspec.merged_from"),
        resolution=first("modelspec.resolution", "ss_resolution"),
        words=_words(metadata),
        loras=_loras(metadata.get(LORAS, "")),
    )


def with_card(notes: Notes, card: Card) -> Notes:
    """Return `notes` with what the card of the folder says where the weights say nothing themselves."""

    def said(key: str) -> str | None:
        return line(", ".join(card.get(key, ()))) or None

    licence = said("license")
    if licence == "other" and (name := said("license_name")) is not None:
        licence = line(f"{name} (other)")
    phrase = said("instance_prompt")  # of what was trained on one thing
    return replace(
        notes,
        title=notes.title or said("model_name"),
        licence=notes.licence or licence,
        base=notes.base or said("base_model"),
        words=notes.words or (() if phrase is None else ((phrase, 0),)),
        library=said("library_name"),
        task=said("pipeline_tag"),
    )


def line(text: str, most: int = MAX_LINE) -> str:
    """Return `text` as one printable line of at most `most` characters: control characters, line breaks and
    marks that turn the direction of writing are gone.
    """
    cut = text[: 4 * most]
    shown = " ".join("".join(one if one.isprintable() else " " for one in cut).split())
    return shown if len(shown) <= most and len(text) <= 4 * most else f"{shown[: most - 3]}..."


def _words(metadata: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    phrase = line(metadata.get(_PHRASE, ""))
    named = [(one.strip(), 0) for one in phrase.split(",") if one.strip()]
    counts: Counter[str] = Counter()
    for captions in _object(metadata.get(_FREQUENCY, "")).values():
        for word, count in captions.items() if isinstance(captions, dict) else ():
            if isinstance(count, int) and not isinstance(count, bool) and count > 0:
                counts[line(word, 60)] += count
    found = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple((named + [one for one in found if one[0]])[:MAX_WORDS])


def _loras(text: str) -> tuple[tuple[str, str], ...]:
    try:
        found = json.loads(text) if 0 < len(text) <= MAX_JSON else []
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list):
        return ()
    return tuple(
        (
            line(f"{one.get('name')}:{one.get('text_weight')}:{one.get('weight')}"),
            line(f"{one.get('digest')}"),
        )
        for one in found[:MAX_LORAS]
        if isinstance(one, dict)
    )


def _object(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`; an empty one where there is none."""
    if not text or len(text) > MAX_JSON:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
