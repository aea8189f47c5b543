"""What a server must not forget, in one SQLite file: pictures, work, and people's presets."""

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sfumato.errors import OutputError
from sfumato.imaging.writing import make_folder

BUSY: Final = 10.0  # seconds to wait for another process that writes

#: What made the file what it is, in order; a file remembers how many it has seen. Never change one that was
#: released: add another.
MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE pictures (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        created REAL NOT NULL,
        prompt TEXT NOT NULL,
        model TEXT NOT NULL,
        seed INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        favourite INTEGER NOT NULL DEFAULT 0,
        binned REAL,
        job TEXT
    ) STRICT;
    CREATE INDEX pictures_of_owner ON pictures (owner, binned, id);
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        number INTEGER NOT NULL,
        created REAL NOT NULL,
        recipe TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        problem TEXT
    ) STRICT;
    CREATE INDEX jobs_by_state ON jobs (state, number);
    """,
    """
    CREATE TABLE presets (
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        created REAL NOT NULL,
        form TEXT NOT NULL,
        PRIMARY KEY (owner, name)
    ) STRICT;
    CREATE INDEX pictures_by_model ON pictures (owner, model);
    """,
    # Every list of the gallery is read along an index: all, favourites, one model; each in both directions.
    """
    ALTER TABLE pictures ADD COLUMN seconds REAL;
    ALTER TABLE pictures ADD COLUMN batch INTEGER;
    DROP INDEX pictures_of_owner;
    CREATE INDEX pictures_in_order ON pictures (owner, binned IS NULL, id);
    CREATE INDEX pictures_by_favour ON pictures (owner, binned IS NULL, favourite, id);
    CREATE INDEX pictures_of_model ON pictures (owner, binned IS NULL, model, id);
    CREATE INDEX pictures_of_job ON pictures (job) WHERE job IS NOT NULL;
    """,
    "ALTER TABLE jobs ADD COLUMN tab TEXT NOT NULL DEFAULT ''",
    # The highest number that a picture ever had: a page may still hold that of one that was removed.
    """
    CREATE TABLE picture_numbers (highest INTEGER NOT NULL) STRICT;
    INSERT INTO picture_numbers SELECT coalesce(max(id), 0) FROM pictures;
    """,
)


class Store:
    """A SQLite file, brought up to date as it is opened. For several threads; close it at the end.

    Raises OutputError for a file that cannot be opened, is no database, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self._path = path
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            # Readers do not wait for the writer, and what was committed survives a power cut.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def read(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query. Raises OutputError."""
        with self._lock:
            try:
                return self._connection.execute(query, tuple(values)).fetchall()
            except sqlite3.Error as error:
                raise self._error(error) from error

    def write(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Carry out one change, and return the rows it returns. Raises OutputError; then nothing changed."""
        with self.writing():
            return self._connection.execute(query, tuple(values)).fetchall()

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """Yield the connection for several changes, which happen together or, when the block raises, not at
        all. Raises OutputError.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._error(error) from error

    def close(self) -> None:
        """Close the file; nothing may be asked afterwards."""
        with self._lock:
            self._connection.close()

    def _migrate(self) -> None:
        with self.writing() as connection:
            (seen,) = connection.execute("PRAGMA user_version").fetchone()
            if seen > len(MIGRATIONS):
                raise OutputError(
                    "was written by a newer version of Sfumato",
                    field="data",
                    value=str(self._path),
                    hint="Update Sfumato, or name another data folder: SFUMATO_HOME.",
                )
            for number, script in enumerate(MIGRATIONS[seen:], start=seen + 1):
                for statement in script.split(";"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    def _error(self, error: sqlite3.Error) -> OutputError:
        return OutputError(
            f"what the server remembers cannot be read or written: {error}",
            field="data",
            value=str(self._path),
            hint="See whether the disk is full or the file is damaged; SFUMATO_HOME names another folder.",
        )
