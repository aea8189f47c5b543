from pathlib import Path

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.pulled import FOLDER, Record, read_record, write_record
from sfumato.settings import Settings

FIRST, SECOND = "a" * 40, "b" * 40


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert read_record("frogs/green", settings) == Record()
    record = Record().with_download(FIRST, {"x": "1"}, tmp_path / "x")
    write_record("frogs/green", record, settings)
    assert read_record("frogs/green", settings) == record
    assert read_record("frogs/brown", settings) == Record()


def test_a_later_download_is_pinned_and_the_first_is_kept(tmp_path: Path) -> None:
    record = Record().with_download(FIRST, {"x": "1"}, tmp_path / "x")
    record = record.with_download(SECOND, {"x": "2"}, tmp_path / "y").with_download(
        SECOND, {"z": "3"}, tmp_path / "y"
    )
    assert record.revision == SECOND
    assert record.digests == {FIRST: {"x": "1"}, SECOND: {"x": "2", "z": "3"}}


@pytest.mark.parametrize("text", ["", "{", "3", '{"revision": 3}', '{"digests": 3}', "x" * 2**21])
def test_what_cannot_be_read_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "frogs--green.json").write_text(text)
    with pytest.raises(ModelFileError, match="Remove it to trust the next download"):
        read_record("frogs/green", Settings(data_dir=tmp_path))
