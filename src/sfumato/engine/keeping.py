"""How pictures are kept: their names, and what is written into them. The same for every front end."""

import re
from itertools import count
from pathlib import Path
from typing import Final

from sfumato import __version__
from sfumato.imaging.metadata import PictureMetadata
from sfumato.recipe.codec import to_json, to_parameters
from sfumato.recipe.image import Resolved

SOFTWARE: Final = f"Sfumato {__version__}"
MAX_SLUG: Final = 40

# What is left of the prompt language's signs once brackets are taken for spaces: a weight or a step.
_NUMBER: Final = re.compile(r":\s*[\d.]+")


def metadata_of(resolved: Resolved, backend: str) -> PictureMetadata:
    """Return what a picture carries: the recipe that draws it again, in our words and in A1111's, and the
    name of the backend that drew it.
    """
    return PictureMetadata(
        resolved_json=to_json(resolved),
        parameters=to_parameters(resolved, software=SOFTWARE),
        software=SOFTWARE,
        backend=backend,
    )


def slug(resolved: Resolved) -> str:
    """Return a file name's worth of the prompt: its words in lower case, at most 40 characters."""
    text = "" if resolved.text is None else resolved.text.prompt[: 10 * MAX_SLUG]
    words = re.findall(r"\w+", _NUMBER.sub(" ", text.lower()))
    name = ""
    for word in words:
        longer = f"{name}-{word}" if name else word[:MAX_SLUG]
        if len(longer) > MAX_SLUG:
            break
        name = longer
    return name or "picture"


def free_path(path: Path) -> Path:
    """Return `path`, or the first of "name-2", "name-3", ... that does not exist."""
    names = (path if n == 1 else path.with_name(f"{path.stem}-{n}{path.suffix}") for n in count(1))
    return next(name for name in names if not name.exists())
