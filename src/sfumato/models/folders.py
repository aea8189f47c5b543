"""Where models lie, and by which names. Imports nothing heavy, as drawing begins here."""

import os
from pathlib import Path
from typing import Final

from sfumato.errors import RecipeError, closest
from sfumato.settings import Settings

BUNDLED: Final = "bundled"


def find_folder(name_or_path: str, settings: Settings, *, paths: bool = True) -> Path:
    """Return the folder of the model called `name_or_path`: a name that is known or, with `paths`, a folder.

    Raises RecipeError for one that is neither.
    """
    known = known_folders(settings)
    if name_or_path in known:
        return known[name_or_path]
    if paths and name_or_path:
        try:
            path = Path(name_or_path).expanduser()
            # Any folder here might bear the name of a model that is not installed: only a model counts.
            if path.is_dir() and (_is_path(name_or_path) or (path / "model_index.json").is_file()):
                return path
        except (OSError, ValueError, RuntimeError):  # a name no file system takes
            pass
    near = closest(name_or_path, known)
    other = "; or give a folder" if paths else ""
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {', '.join(known)}{other}."
    raise RecipeError("unknown model", field="model", value=name_or_path, hint=guess)


def _is_path(name: str) -> bool:
    return os.sep in name or (os.altsep is not None and os.altsep in name)


def known_folders(settings: Settings) -> dict[str, Path]:
    """Return the folder of every model that has a name, the bundled one first."""
    known = {BUNDLED: Path(__file__).parent / "bundled" / "model"}
    for parent in (*settings.model_dirs, settings.data_dir / "models"):
        if parent.is_dir():
            for index in sorted(parent.glob("*/model_index.json")):
                known.setdefault(index.parent.name, index.parent)
    return known
