"""Adapters in A1111's text: marks in the prompt, and the hashes of their files."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import ResolvedAdapters, asked_adapters, mark, taken_out

LORAS: Final = "Lora hashes"
WORDS: Final = "TI hashes"
EXACT: Final = "Adapters"  # ours: what marks and hashes cannot say
_HASH: Final = re.compile(r"\s*(.*?)\s*:\s*([0-9a-fA-F]{8,64})\s*")


def with_marks(prompt: str, part: ResolvedAdapters | None) -> str:
    """Return a prompt with the adapters of a picture behind it, as A1111 has them."""
    marks = [mark(one) for one in part.adapters] if part is not None else []
    return " ".join([*([prompt] if prompt else []), *(one for one in marks if one is not None)])


def to_pairs(part: ResolvedAdapters | None) -> dict[str, str]:
    """Return what A1111's text says of adapters, and in our own key all of it."""
    if part is None:
        return {}
    pairs: dict[str, str] = {}
    for key, some in ((LORAS, part.adapters), (WORDS, part.embeddings)):
        hashes = ", ".join(f"{one.name}: {one.hash}" for one in some)
        if hashes:
            pairs[key] = hashes
    asked = asked_adapters(part).model_dump(mode="json", exclude={"kind"}, exclude_none=True)
    pairs[EXACT] = json.dumps(asked, sort_keys=True)
    return pairs


def from_pairs(prompt: str, pairs: Mapping[str, str]) -> tuple[str, dict[str, Any] | None]:
    """Return a prompt without the adapters it names, and the part adapters that a text tells of, None when it
    tells of none. Raises RecipeError.
    """
    left, found = taken_out(prompt)
    if EXACT in pairs:
        try:
            part: object = json.loads(pairs[EXACT])
        except (ValueError, RecursionError):
            part = None
        if not isinstance(part, dict):
            raise RecipeError("cannot be read", field=EXACT, value=pairs[EXACT])
        return left, {**part, "kind": "adapters"}  # pyright: ignore[reportUnknownVariableType]
    hashes = _hashes(pairs.get(LORAS, ""))
    adapters = [
        {**one.model_dump(exclude_none=True), **_digest(hashes.get(one.name.casefold()))} for one in found
    ]
    words = _hashes(pairs.get(WORDS, ""), folded=False)
    embeddings = [{"name": name, "digest": digest} for name, digest in words.items()]
    if not adapters and not embeddings:
        return left, None
    return left, {"kind": "adapters", "adapters": adapters, "embeddings": embeddings}


def _digest(digits: str | None) -> dict[str, str]:
    return {} if digits is None else {"digest": digits}


def _hashes(text: str, *, folded: bool = True) -> dict[str, str]:
    """Return hashes by name, in small letters if `folded`, of "name: 1234abcd, other: ..."."""
    found: dict[str, str] = {}
    for entry in text.split(","):
        match = _HASH.fullmatch(entry)
        if match is not None and match[1]:
            found[match[1].casefold() if folded else match[1]] = match[2].lower()
    return found
