"""What `sfumato models` lists: every model, adapter and helper in the folders of models, read no further than
their headers.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import ModelFileError, RecipeError, closest
from sfumato.models.digests import known_digests
from sfumato.models.facts import CHECKPOINT, FOLDER, LORA, UNKNOWN, Facts, read_facts
from sfumato.models.folders import BUNDLED, find_folder
from sfumato.models.places import CONFIG, INDEX, Found, Kind, find_all
from sfumato.settings import Settings

#: What a file is taken for before it is looked at, and where it cannot be.
WORDS: dict[Kind | None, str] = {
    "checkpoint": CHECKPOINT,
    "lora": LORA,
    "embedding": "embedding",
    "vae": "VAE",
    "controlnet": "ControlNet",
    "upscaler": "upscaler",
    "other": UNKNOWN,
    None: UNKNOWN,
}
MODELS = (CHECKPOINT, FOLDER)  # the kinds that --model takes


@dataclass(frozen=True)
class Entry:
    """Something in a folder of models. `facts` are None where `problem` says why it cannot be used; `digest`
    is its short hash, where it is known.
    """

    name: str
    kind: str
    path: Path
    num_bytes: int
    facts: Facts | None
    digest: str | None
    problem: str | None


def list_library(settings: Settings) -> Iterator[Entry]:
    """Yield everything there is, the bundled model first, then models, then the rest by kind of place."""
    yield _entry(BUNDLED, "checkpoint", find_folder(BUNDLED, settings), None, settings)
    for found in find_all(settings):
        if found.name != BUNDLED or found.kind not in (None, "checkpoint"):
            yield _entry(found.name, found.kind, found.path, found.problem, settings)


def find_any(name_or_path: str, settings: Settings) -> Path:
    """Return the file or folder of anything that is listed under this name, or that lies at this path. Raises
    RecipeError for neither, and for what is there and cannot be used.
    """
    try:
        given = Path(name_or_path).expanduser()
        at_path = given.is_file() or (
            given.is_dir() and any((given / one).is_file() for one in (INDEX, CONFIG))
        )
    except (OSError, ValueError, RuntimeError):  # a name no file system takes
        given, at_path = Path(), False
    if at_path:
        return given
    name = unicodedata.normalize("NFC", name_or_path)
    there = {BUNDLED: Found(BUNDLED, "checkpoint", find_folder(BUNDLED, settings), BUNDLED)}
    for found in find_all(settings):
        there.setdefault(found.name, found)
    found = there.get(name)
    if found is not None and found.problem is None:
        return found.path
    if found is not None:
        raise RecipeError(f"this file {found.problem}", field="model", value=name_or_path)
    near = closest(name_or_path, there)
    guess = "Give a path, or a name that sfumato models lists." if near is None else f'Did you mean "{near}"?'
    raise RecipeError("there is nothing of this name", field="model", value=name_or_path, hint=guess)


def short_hash(path: Path, kind: str, settings: Settings) -> str | None:
    """Return the hash by which people know a file, if it is remembered: of a LoRA that of its body."""
    digests = known_digests(path, settings) if path.is_file() else None
    if digests is None:
        return None
    return digests.auto_v3 if kind == LORA else digests.auto_v2


def _entry(name: str, place: Kind | None, path: Path, problem: str | None, settings: Settings) -> Entry:
    facts = None
    if problem is None:
        try:
            facts = read_facts(path)
        except ModelFileError as error:
            problem = str(error)
    if facts is None:
        return Entry(name, WORDS[place], path, _size(path), None, None, problem)
    digest = short_hash(path, facts.kind, settings)
    return Entry(name, facts.kind, path, facts.num_bytes, facts, digest, None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
