import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.errors import ModelFileError
from sfumato.models.digests import FOLDER, digests_of, known_digests
from sfumato.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file({"a": np.arange(9.0)}, tmp_path / "a.safetensors", {"note": "one"})
    return tmp_path / "a.safetensors"


def remembered(settings: Settings) -> Path:
    (place,) = (settings.data_dir / FOLDER).iterdir()
    return place


def test_digests_are_of_the_file_and_of_its_body(file: Path, settings: Settings) -> None:
    digests = digests_of(file, settings)
    content = file.read_bytes()
    assert digests.whole == hashlib.sha256(content).hexdigest()
    assert digests.body == hashlib.sha256(np.arange(9.0).tobytes()).hexdigest()
    assert digests.auto_v2 == digests.whole[:10]
    assert digests.auto_v3 == digests.body[:12]


def test_the_body_stays_when_the_notes_change(file: Path, settings: Settings) -> None:
    before = digests_of(file, settings)
    save_file({"a": np.arange(9.0)}, file, {"note": "another"})
    after = digests_of(file, settings)
    assert (before.body, before.whole != after.whole) == (after.body, True)


def test_what_is_remembered_is_not_read_again(file: Path, settings: Settings) -> None:
    assert known_digests(file, settings) is None
    digests = digests_of(file, settings)
    now = file.stat()
    file.write_bytes(bytes(now.st_size))
    os.utime(file, ns=(now.st_atime_ns, now.st_mtime_ns))
    assert known_digests(file, settings) == digests  # nothing of what is looked at has changed
    os.utime(file, ns=(now.st_atime_ns, now.st_mtime_ns + 1))
    assert known_digests(file, settings) is None
    assert digests_of(file, settings) != digests


def test_another_file_in_its_place_is_read(file: Path, settings: Settings, tmp_path: Path) -> None:
    digests_of(file, settings)
    now = file.stat()
    (tmp_path / "other").write_bytes(bytes(now.st_size))
    os.utime(tmp_path / "other", ns=(now.st_atime_ns, now.st_mtime_ns))
    (tmp_path / "other").replace(file)
    assert known_digests(file, settings) is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"\xff", b'{"whole": 3}', b"[" * 9999, b"x" * 20_000], ids=range(7)
)
def test_what_is_remembered_wrongly_is_ignored_and_written_again(
    damage: bytes, file: Path, settings: Settings
) -> None:
    digests = digests_of(file, settings)
    place = remembered(settings)
    place.write_bytes(damage)
    assert known_digests(file, settings) is None
    assert digests_of(file, settings) == digests
    assert known_digests(file, settings) == digests
    assert remembered(settings) == place


@pytest.mark.parametrize("key", ["whole", "body"])
def test_what_is_no_digest_does_not_count(key: str, file: Path, settings: Settings) -> None:
    digests_of(file, settings)
    place = remembered(settings)
    place.write_text(json.dumps({**json.loads(place.read_text()), key: "../../x"}))
    assert known_digests(file, settings) is None


def test_one_that_cannot_be_remembered_is_taken_all_the_same(file: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    settings = Settings(data_dir=tmp_path / "data")
    assert digests_of(file, settings).whole == hashlib.sha256(file.read_bytes()).hexdigest()


def test_one_that_is_not_there_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        digests_of(tmp_path / "gone.safetensors", settings)


@pytest.mark.parametrize("content", [b"", b"123", b"\xff" * 8, b"\xff" * 100])
def test_files_of_any_other_kind_have_digests_too(content: bytes, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert digests_of(tmp_path / "a.txt", settings).whole == hashlib.sha256(content).hexdigest()
