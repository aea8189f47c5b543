"""Errors as they are told: whoever opened the studio sees where a file lies, visitors its name alone."""

import re
from pathlib import PurePath
from typing import Final

from sfumato.errors import SfumatoError

_PLACE: Final = r"(?:file:|[A-Za-z]:)?[\\/]+"
#: Before a place: nothing that makes it a part of a word, of a fraction or of an address.
_BEFORE: Final = r"(?<![^\s'\"(\[,`=:;|\u2018\u2039\u201c\u201e\u00ab])(?<!\bhttp:)(?<!\bhttps:)"
#: A place in quotes may have blanks in it; one that was cut short ends in the middle of a folder's name.
_QUOTED: Final = re.compile(rf"(['\"`])({_PLACE}.*?)\1(\.\.\. \d+ characters)?")
_BARE: Final = re.compile(rf"{_BEFORE}{_PLACE}(?:[^\s'\"\\/]+[\\/]+)+")  # before a file's name
_WHOLE: Final = re.compile(rf"{_BEFORE}{_PLACE}[^\s'\"]+")
_END: Final = r"(?![\w-]|\.\w)"  # after a name that ends here: another may begin with the same letters
_DEEPER: Final = r"(?:[\\/]+(?:[^\s'\"\\/]+[\\/]+)*)?"  # and what is below it, up to a file's name


def without_folders(problem: object) -> str:
    """Return an error, or its line, with names of files but not the folders in which they are. A hint that
    names one is left out: it is for who can reach it.
    """
    if isinstance(problem, SfumatoError):
        return _line(problem)
    said, got, hint = str(problem).partition("). ")
    return _plain(said + (")" if got and _WHOLE.search(hint) else got + hint))


def _line(error: SfumatoError) -> str:
    value, said = error.value, error.message
    place = str(value) if isinstance(value, (str, PurePath)) else ""
    if re.match(_PLACE, place):
        value = name = _last(place)
        said = re.sub(re.escape(place) + _END, lambda _: name, said) if len(place) > 1 else said
        for folder in map(str, PurePath(place).parents):
            if len(folder) > 1:
                said = re.sub(re.escape(folder) + _END + _DEEPER, "", said)
    hint = None if error.hint is None or _WHOLE.search(error.hint) else error.hint
    return _plain(str(SfumatoError(said, field=error.field, value=value, hint=hint)))


def _plain(text: str) -> str:
    return _BARE.sub("", _QUOTED.sub(_name, text))


def _name(found: re.Match[str]) -> str:
    if found[3]:  # where it was cut nobody knows what is a folder
        return "'...'"
    return f"{found[1]}{_last(found[2])}{found[1]}"


def _last(place: str) -> str:
    return re.split(r"[\\/]", place.rstrip("\\/"))[-1]
