"""Which adapters there are, by name and by digest.

Nothing heavy is imported: every drawing asks whether its prompt names an embedding.
"""

import os
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sfumato.errors import ModelFileError, RecipeError, closest
from sfumato.models.places import WEIGHTS, Found, find_all
from sfumato.recipe.adapters import has_marks
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve_adapters import texts_of
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.models.adapters.reading import AdapterFile

Kind: TypeAlias = Literal["lora", "embedding"]

#: The folder of each kind that errors speak of, and what a file in it is called; there are more of them in
#: `sfumato.models.places`.
FOLDERS: Final[Mapping[Kind, str]] = {"lora": "loras", "embedding": "embeddings"}
_CALLED: Final[Mapping[Kind, str]] = {"lora": "adapter", "embedding": "embedding"}


def known_adapters(kind: Kind, settings: Settings) -> dict[str, Found]:
    """Return every adapter in its folders by name, and where it lies in a folder of its own also with that;
    those that cannot be used have a `problem`. The first of one name counts.
    """
    known: dict[str, Found] = {}
    for found in find_all(settings, kind, loose=False):
        for name in (found.name, found.full_name):
            known.setdefault(name, found)
    return known


def may_need_adapters(recipe: Recipe, settings: Settings) -> bool:
    """Tell whether it is worth to look for adapters of a recipe: it names some, or there are embeddings that
    its prompts might name.
    """
    if recipe.adapters is not None or any(map(has_marks, texts_of(recipe))):
        return True
    return recipe.text is not None and bool(known_adapters("embedding", settings))


def find_adapter(
    kind: Kind, name_or_path: str, settings: Settings, *, digest: str | None = None, paths: bool = True
) -> "AdapterFile":
    """Find and open an adapter: by a name that is known or, with `paths`, a file; and with a `digest`, the
    first digits of its sha256 or of A1111's hash, the one that has it, whatever it is called here.

    Raises RecipeError for one that is not there, ModelFileError for a file that cannot be used.
    """
    from sfumato.models.adapters.reading import open_adapter

    known = known_adapters(kind, settings)
    found: AdapterFile | None = None
    name = unicodedata.normalize("NFC", name_or_path)
    if name in known:
        found = open_adapter(
            _usable(known[name], kind).path, kind, known[name].name.rpartition("/")[2], settings
        )
    elif (paths and (path := _file(name_or_path)) is not None) or (
        kind == "lora" and (path := next(_loose(settings, name), None)) is not None
    ):
        found = open_adapter(path, kind, settings=settings)
    if found is not None and (digest is None or is_digest(found, digest)):
        return found
    there = (one.path for one in known.values() if one.problem is None) if digest else ()
    for path in dict.fromkeys((*there, *(_loose(settings) if digest and kind == "lora" else ()))):
        with suppress(ModelFileError, OSError):  # a damaged one is not the one that is looked for
            other = open_adapter(path, kind, name_or_path, settings)
            if digest is not None and is_digest(other, digest):
                return other
    raise _unknown(kind, name_or_path, known, digest, there=found is not None, paths=paths)


def _loose(settings: Settings, name: str | None = None) -> Iterator[Path]:
    """Yield the LoRAs that lie in a folder of models for everything, those called `name` only: what a file
    there is, its header says.
    """
    from sfumato.models.facts import LORA, read_facts

    for one in find_all(settings, "lora"):
        wanted = one.kind is None and one.problem is None and name in (None, one.name, one.full_name)
        if not wanted or one.path.suffix.lower() != WEIGHTS:
            continue
        with suppress(ModelFileError):  # whatever it is, it is none
            if read_facts(one.path).kind == LORA:
                yield one.path


def is_digest(file: "AdapterFile", digest: str) -> bool:
    """Tell whether `digest` begins a digest of `file`."""
    found = file.digests()
    return any(one.startswith(digest) for one in (found.whole, found.body, file.hash))


def _usable(found: Found, kind: Kind) -> Found:
    if found.problem is not None:
        raise ModelFileError(
            f"{found.path.name} {found.problem}",
            field=kind,
            value=found.name,
            hint="Only safetensors files are loaded.",
        )
    return found


def _file(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        # Any file here might bear the name of an adapter that is not installed: it needs its suffix.
        return path if path.suffix and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a name no file system takes
        return None


def _unknown(
    kind: Kind, name: str, known: Mapping[str, Found], digest: str | None, *, there: bool, paths: bool
) -> RecipeError:
    called = _CALLED[kind]
    if digest is not None:
        what = "has other contents here" if there else "is not here"
        hint = f"Put the file with the hash {digest[:12]} into a folder {FOLDERS[kind]}, beside the models."
        return RecipeError(f"the {called} that is asked for {what}", field=kind, value=name, hint=hint)
    near = closest(name, known)
    names = ", ".join(list(known)[:20]) if known else "none"
    other = f"; or give a file ({WEIGHTS})" if paths else ""
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {names}{other}."
    if paths and os.sep in name:
        guess = f"There is no such file; {WEIGHTS} belongs to its name."
    return RecipeError(f"unknown {called}", field=kind, value=name, hint=guess)
