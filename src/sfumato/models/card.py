"""What a model card says of itself to programs: the front matter of a README.md, as model hubs have it.

Front matter is YAML between two lines of three dashes. Read are the plain forms that cards use: `key: value`,
`key: [one, other]`, and a list with a dash before each line. Whatever else YAML knows (objects, references,
types of its own, texts of several lines) is passed over: nothing of it is needed here, and nothing of it can
act. The format is described at https://huggingface.co/docs/hub/model-cards.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CARD: Final = "README.md"
MAX_BYTES: Final = 64 * 2**10  # of front matter; the card may be longer
MAX_VALUES: Final = 50  # of one list

_KEY: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,63}):(?:[ \t]+(.*))?")
_ITEM: Final = re.compile(r"[ \t]*-[ \t]+(.*)")
_COMMENT: Final = re.compile(r"(^|[ \t])#.*")
_PARTS: Final = re.compile(r"""\"([^\"]*)\"|'([^']*)'|([^,"']+)""")
#: Beginnings of what is no plain text in YAML.
_STRANGE: Final = ("&", "*", "!", "|", ">", "{", "[", "]", "}", "%", "@", "`", "- ", "? ")
_NOTHING: Final = ("", "~", "null", "Null", "NULL")

Card = Mapping[str, tuple[str, ...]]


def read_card(folder: Path) -> Card:
    """Return what the front matter of the card in `folder` says, by keys; nothing where there is none that
    can be read. Nobody checked the texts: cut and clean them before they are shown.
    """
    path = folder / CARD
    try:
        if not path.is_file():  # nothing that waits when it is opened
            return {}
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return {}
    return card_of(data.decode("utf-8-sig", errors="replace"))


def card_of(text: str) -> Card:
    """Return what the front matter at the beginning of `text` says; nothing where it does not end."""
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    end = next((number for number, one in enumerate(lines[1:], start=1) if one.rstrip() == "---"), None)
    if end is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    open_key: str | None = None  # whose list may follow
    for one in lines[1:end]:
        if (key := _KEY.fullmatch(one.rstrip())) is not None:
            open_key = None if _without_comment(key[2] or "") else key[1]
            found[key[1]] = _values(key[2] or "")
        elif open_key is not None and (item := _ITEM.fullmatch(one.rstrip())) is not None:
            value = _plain(item[1])
            if value is not None and len(found[open_key]) < MAX_VALUES:
                found[open_key] += (value,)
        elif one.strip() and not one.lstrip().startswith("#"):
            open_key = None
    return {key: values for key, values in found.items() if values}


def _values(text: str) -> tuple[str, ...]:
    """Return what stands behind a key: one text, or several in brackets."""
    text = text.strip()
    if text.startswith("["):
        within = _without_comment(text)[1:].removesuffix("]")
        parts = (
            quoted or _plain(bare) for *both, bare in _PARTS.findall(within) for quoted in ["".join(both)]
        )
        return tuple(one for one in parts if one)[:MAX_VALUES]
    value = _plain(text)
    return () if value is None else (value,)


def _plain(text: str) -> str | None:
    """Return a plain or quoted text; None for what is something else, or nothing."""
    text = text.strip()
    if len(text) > 1 and text[0] in "\"'":
        end = text.find(text[0], 1)
        return text[1:end].strip() or None if end > 0 else None
    text = _without_comment(text)
    return None if text in _NOTHING or text.startswith(_STRANGE) or ": " in text else text


def _without_comment(text: str) -> str:
    return _COMMENT.sub("", text, count=1).strip()
