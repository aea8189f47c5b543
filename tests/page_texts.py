"""Where in the studio's source the words of the page are said."""

import re
from functools import cache
from pathlib import Path

from sfumato.serving import studio


@cache
def _source() -> str:
    folder = Path(studio.__file__).parent
    files = [one for one in folder.glob("*.py") if not one.name.endswith(("_texts.py", "words.py"))]
    return "".join(one.read_text(encoding="utf-8") for one in files)


def is_said(name: str) -> bool:
    """Return whether a word is asked for by its name, or by one that is put together from its first part."""
    first = name.split("_")[0] + "_"
    return re.search(rf"""['"]({name}['"]|{first}\{{)""", _source()) is not None
