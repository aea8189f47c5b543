"""The server's memory: brought up to date, whole after every change, clear about what is wrong."""

import sqlite3
import threading
from pathlib import Path

import pytest

from sfumato.errors import OutputError
from sfumato.serving.store import MIGRATIONS, Store

JOB = "INSERT INTO jobs (id, owner, number, created, recipe, state) VALUES (?, 'me', ?, 0, '{}', 'queued')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "studio.db"


def ids(store: Store) -> list[str]:
    return [row["id"] for row in store.read("SELECT id FROM jobs ORDER BY number")]


def test_a_new_file_is_up_to_date_and_remembers(path: Path) -> None:
    store = Store(path)
    store.write(JOB, ("a", 1))
    store.close()
    again = Store(path)
    assert ids(again) == ["a"]
    assert again.read("PRAGMA user_version")[0][0] == len(MIGRATIONS)
    again.close()


def test_a_file_of_an_older_version_is_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute(JOB, ("a", 1))
        connection.execute(
            "INSERT INTO pictures (name, owner, created, prompt, model, seed, width, height, binned) "
            "VALUES ('a.png', 'me', 1, '', 'm', 7, 8, 8, 5)"
        )
        connection.execute("PRAGMA user_version = 1")
    store = Store(path)
    assert ids(store) == ["a"]
    assert store.read("SELECT count(*) AS number FROM presets")[0]["number"] == 0
    (picture,) = store.read("SELECT seed, binned, seconds, batch FROM pictures")
    assert tuple(picture) == (7, 5, None, None)
    assert store.read("SELECT highest FROM picture_numbers")[0]["highest"] == 1
    assert store.read("PRAGMA user_version")[0][0] == len(MIGRATIONS)
    store.close()


def test_changes_happen_together_or_not_at_all(path: Path) -> None:
    store = Store(path)

    def twice(problem: BaseException | None) -> None:
        with store.writing() as connection:
            connection.execute(JOB, ("a", 1))
            if problem is not None:
                raise problem
            connection.execute(JOB, ("a", 2))

    with pytest.raises(OutputError, match="UNIQUE"):
        twice(None)
    with pytest.raises(KeyboardInterrupt):
        twice(KeyboardInterrupt())
    assert ids(store) == []
    store.close()


def test_threads_take_turns(path: Path) -> None:
    store = Store(path)
    threads = [
        threading.Thread(target=lambda n=n: [store.write(JOB, (f"{n}-{k}", k)) for k in range(20)])
        for n in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(ids(store)) == 160
    assert store.read("PRAGMA integrity_check")[0][0] == "ok"
    store.close()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(OutputError, match="newer version of Sfumato"):
        Store(path)


@pytest.mark.parametrize("data", [b"no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_one_clear_error(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(OutputError, match="data: what the server remembers cannot be read") as caught:
        Store(path)
    assert caught.value.hint is not None
    assert path.read_bytes() == data
