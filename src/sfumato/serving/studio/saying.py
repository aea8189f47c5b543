"""What went wrong, in whole sentences that call a field as the page does, in its language as far as known."""

import re
from collections.abc import Mapping
from typing import Final

from sfumato.errors import SfumatoError, shown
from sfumato.serving.studio.words import Words

#: What the page calls fields that have another name there.
_CALLED: Final[Mapping[str, str]] = {
    "mask": "name_mask",
    "picture": "canvas",
    "other prompt": "other",
    "width": "size",
    "height": "size",
    "variation-seed": "finer_variation_seed",
    "cache-interval": "finer_cache_interval",
}
#: What is known in all languages, by field (None: any) and message: {0} is the field, {1} what was given, and
#: {2} what the pattern found.
_KNOWN: Final[tuple[tuple[str | None, re.Pattern[str], str], ...]] = (
    ("mask", re.compile("is empty"), "say_mask"),
    ("picture", re.compile("is missing"), "extend_empty"),
    ("other prompt", re.compile("is missing"), "say_other"),
    ("prompt", re.compile("is empty"), "prompt_needed_edit"),
    ("sides", re.compile("adds nothing"), "say_sides"),
    (None, re.compile("is no number"), "say_number"),
    (None, re.compile("is no whole number"), "say_whole"),
    (None, re.compile(r"must be at least (-?[0-9.]+)"), "say_at_least"),
    (None, re.compile(r"must be at most (-?[0-9.]+)"), "say_at_most"),
)
#: What goes on after the name of what it speaks of.
_VERB: Final = re.compile(r"(is|are|has|have|must|may|can|cannot|needs?|adds?|lies|says) ")


def sentence_of(error: SfumatoError, words: Words) -> SfumatoError:
    """Return an error that says the same in a whole sentence; one that is about nothing on the page, or
    speaks for itself, is returned as it is.
    """
    field = error.field
    if field is None:
        return error
    label = label_of(field, words)
    given = "" if error.value is None else shown(error.value)
    for about, pattern, name in _KNOWN:
        found = pattern.fullmatch(error.message)
        if found is not None and about in (None, field) and (about is not None or label is not None):
            bound = found[1].removesuffix(".0") if pattern.groups else ""
            return SfumatoError(words(name, f"“{label}”", given, bound))
    if label is None:
        return error
    between = " " if _VERB.match(error.message) else ": "
    return SfumatoError(f"“{label}”{between}{error.message}", value=error.value, hint=error.hint)


def label_of(field: str, words: Words) -> str | None:
    """Return what the page calls a field of a recipe or form; None for one that is not on it."""
    last = field.rsplit(".", 1)[-1]
    plain = last.replace("-", "_")
    for name in (_CALLED.get(last), plain, f"finer_{plain}"):
        if name is not None and name in words.table:
            return words(name)
    return None
