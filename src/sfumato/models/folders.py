"""Where models lie, and by which names. Imports nothing heavy, as drawing begins here."""

import os
import unicodedata
from pathlib import Path
from typing import Final

from sfumato.errors import RecipeError, closest
from sfumato.models.places import INDEX, PICKLES, VAE_BESIDE, WEIGHTS, find_all
from sfumato.settings import Settings

BUNDLED: Final = "bundled"

_BUNDLED_FOLDER: Final = Path(__file__).parent / "bundled" / "model"


def find_folder(name_or_path: str, settings: Settings, *, paths: bool = True) -> Path:
    """Return where the model called `name_or_path` is: a name that is known or, with `paths`, a diffusers
    folder or a single file.

    Raises RecipeError for one that is neither.
    """
    if name_or_path == BUNDLED:  # without a look at folders that may be large, or far away
        return _BUNDLED_FOLDER
    known = known_folders(settings)
    name = unicodedata.normalize("NFC", name_or_path)
    if name in known:
        return known[name]
    if paths and name_or_path and (path := _given(name_or_path)) is not None:
        return path
    problem = _problem_of(name, settings)
    if problem is not None:
        raise RecipeError(f"this model {problem}", field="model", value=name_or_path)
    near = closest(name_or_path, known)
    other = "; or give a folder or a file" if paths else ""
    names = [*known][:20] + ["..."] * (len(known) > 20)
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {', '.join(names)}{other}."
    raise RecipeError("unknown model", field="model", value=name_or_path, hint=guess)


def _given(name: str) -> Path | None:
    """Return the folder or file of a model at the path `name`; None where there is none."""
    try:
        path = Path(name).expanduser()
        # Any folder here might bear the name of a model that is not installed: only a model counts.
        if path.is_dir() and (_is_path(name) or (path / INDEX).is_file()):
            return path
        # Pickles are refused by who opens them, saying what to do.
        return path if path.suffix.lower() in (WEIGHTS, *PICKLES) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a name no file system takes
        return None


def _is_path(name: str) -> bool:
    return os.sep in name or (os.altsep is not None and os.altsep in name)


def _problem_of(name: str, settings: Settings) -> str | None:
    """Return why a model that is there under this name has none to draw with."""
    there = find_all(settings, "checkpoint")
    return next((one.problem for one in there if one.name == name and one.problem is not None), None)


def known_folders(settings: Settings) -> dict[str, Path]:
    """Return the folder or file of every model that has a name, the bundled one first.

    Of single files, these are all in the folders of models that have no place of another kind: what they hold
    is not looked at.
    """
    known = {BUNDLED: _BUNDLED_FOLDER}
    for found in find_all(settings, "checkpoint"):
        if found.problem is None and _may_be_model(found.path):
            known.setdefault(found.name, found.path)
    return known


def is_known(name: str, settings: Settings) -> bool:
    """Tell whether a model has this name."""
    return name == BUNDLED or unicodedata.normalize("NFC", name) in known_folders(settings)


def _may_be_model(path: Path) -> bool:
    if path.suffix.lower() == WEIGHTS:
        return not path.stem.endswith(VAE_BESIDE)
    return (path / INDEX).is_file()
