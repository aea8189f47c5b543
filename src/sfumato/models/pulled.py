"""What was fetched from a hub, written down at the first download: revision, and the digest of each file."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError
from sfumato.imaging.writing import make_folder, write_file
from sfumato.settings import Settings

FOLDER: Final = "pulled"  # in the data folder
MAX_BYTES: Final = 2**20
COMMIT: Final = re.compile(r"[0-9a-f]{40}")

Files = dict[str, str]


@dataclass(frozen=True)
class Record:
    """The `revision` of a repository that is pinned (None: it was never fetched), and by revision the sha256
    of each file that was fetched, and where they were put.
    """

    revision: str | None = None
    digests: dict[str, Files] = field(default_factory=dict[str, Files])
    places: dict[str, str] = field(default_factory=dict[str, str])

    def with_download(self, revision: str, digests: Files, place: Path) -> "Record":
        """Return the record after a download, whose revision is the pinned one from now on."""
        known = {**self.digests.get(revision, {}), **digests}
        return Record(revision, {**self.digests, revision: known}, {**self.places, revision: str(place)})


def read_record(repo: str, settings: Settings) -> Record:
    """Return what is written down of a repository. Raises ModelFileError for what cannot be read: without it
    nothing could be checked.
    """
    path = _place(repo, settings)
    if not path.is_file():
        return Record()
    try:
        data: Any = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_BYTES else None
        record = Record(**data)
        texts = [
            *record.places.values(),
            *(one for files in record.digests.values() for one in files.values()),
        ]
        good = record.revision in record.digests and all(isinstance(one, str) for one in texts)
        good = good and all(COMMIT.fullmatch(one) for one in (*record.digests, *record.places))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        good, record = False, Record()
    if not good:
        what = f"{path.name} is damaged: it holds the digests of the first download"
        hint = "Remove it to trust the next download."
        raise ModelFileError(what, field="model", value=str(path), hint=hint)
    return record


def write_record(repo: str, record: Record, settings: Settings) -> None:
    """Write a record. Raises OutputError."""
    path = _place(repo, settings)
    make_folder(path.parent)
    write_file(path, json.dumps(asdict(record), indent=1, sort_keys=True).encode())


def _place(repo: str, settings: Settings) -> Path:
    return settings.data_dir / FOLDER / f"{repo.replace('/', '--')}.json"
