"""A folder for what a drawing shows of itself: nothing else may lie in it, and what was there is replaced."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import OutputError
from sfumato.imaging.writing import make_folder
from sfumato.recipe.image import Resolved

_HOME = re.compile(r"seed-\d{1,20}(-\d{1,20})?")


@dataclass(frozen=True)
class OwnFolder:
    """The folder `path`, asked for as `field`, of files whose names are `names` as a whole; of several
    pictures, each has a folder in it.
    """

    path: Path
    field: str
    names: re.Pattern[str]

    def check(self) -> None:
        """Raise OutputError unless it can be written to: ask before the work of drawing.

        It must be missing, empty, or hold what an earlier drawing wrote and nothing else.
        """
        value, hint = str(self.path), "Name a new folder, or an empty one."
        try:
            others = [path.name for path in self.path.iterdir() if not self._is_ours(path)]
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise OutputError("this is no folder", field=self.field, value=value, hint=hint) from error
        except OSError as error:  # a folder that may not be looked into, a name longer than the system takes
            reason = error.strerror or "unknown reason"
            raise OutputError(
                f"cannot be used: {reason}", field=self.field, value=value, hint=hint
            ) from error
        if others:
            what = f"this folder holds other things ({min(others)})"
            raise OutputError(what, field=self.field, value=value, hint=hint)

    def empty(self) -> None:
        """Check it, make it where it is missing, and remove what an earlier drawing wrote."""
        self.check()
        make_folder(self.path)
        self.clear()

    def clear(self) -> None:
        """Remove what a drawing wrote; what has another name stays."""
        for path in self._ours():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def home(self, resolved: Resolved, index: int, count: int) -> Path:
        """Return the folder of picture `index` of a run that draws `count`: this one for a single picture,
        else one in it, named after the picture's seed, and a variation's own.
        """
        if count == 1:
            return self.path
        if resolved.variation is not None:
            return self.path / f"seed-{resolved.seed}-{resolved.variation.seed + index}"
        return self.path / f"seed-{resolved.seed + index}"

    def _ours(self) -> Iterator[Path]:
        yield from [path for path in self.path.iterdir() if self._is_ours(path)]

    def _is_ours(self, path: Path) -> bool:
        if path.is_dir():
            named = _HOME.fullmatch(path.name) is not None and not path.is_symlink()
            return named and all(self._is_our_file(one) for one in path.iterdir())
        return self._is_our_file(path)

    def _is_our_file(self, path: Path) -> bool:
        return path.is_file() and self.names.fullmatch(path.name) is not None
