"""Ranges in a file: what was written is read, and nothing else."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sfumato.errors import InputError, NumericalError, OutputError
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.backends.openvino.ranges import (
    FORMAT,
    Ranges,
    fingerprint,
    read_ranges,
    stored_ranges,
    write_ranges,
)

DIGEST = "ab" * 32
FACTS = {"format": FORMAT, "model": DIGEST}
COMMAND = r"Run: sfumato compile MODEL --precision int8-full$"


def some() -> dict[str, NDArray[np.float32]]:
    return {
        "b.input": np.array([[-1, -2, 0], [1, 3, 0]], np.float32),
        "a.output": np.array([[-5, 0], [0, 5]], np.float32),
    }


def refused(path: Path, digest: str = DIGEST) -> str:
    with pytest.raises(InputError, match=COMMAND) as caught:
        read_ranges(path, digest)
    return str(caught.value)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ranges.safetensors"
    ranges: Ranges = {**some(), "view": np.zeros((4, 2), np.float32).T[:, ::2]}
    write_ranges(path, ranges, DIGEST)
    found = read_ranges(path, DIGEST)
    assert found.keys() == ranges.keys()
    for name, one in ranges.items():
        np.testing.assert_array_equal(found[name], one)
    assert [path] == list(tmp_path.iterdir())


def test_they_are_stored_beside_the_graphs(tmp_path: Path) -> None:
    place = CachePlace(tmp_path, DIGEST)
    (tmp_path / DIGEST / "int8-full").mkdir(parents=True)
    write_ranges(tmp_path / DIGEST / "int8-full" / "ranges.safetensors", some(), DIGEST)
    assert fingerprint(stored_ranges(place)) == fingerprint(some())
    for elsewhere in (None, CachePlace(tmp_path, "cd" * 32)):
        with pytest.raises(InputError, match=COMMAND):
            stored_ranges(elsewhere)


def test_ranges_that_are_missing_are_to_be_measured(tmp_path: Path) -> None:
    assert refused(tmp_path / "none").startswith("precision: int8-full needs the ranges of this model's")
    os.mkfifo(tmp_path / "pipe")
    assert "not measured yet" in refused(tmp_path / "pipe")


def test_another_models_ranges_are_refused(tmp_path: Path) -> None:
    write_ranges(tmp_path / "r", some(), DIGEST)
    assert "another model or version" in refused(tmp_path / "r", "cd" * 32)
    save_file(some(), tmp_path / "r", {**FACTS, "format": "0"})
    assert "another model or version" in refused(tmp_path / "r")
    save_file(some(), tmp_path / "r")
    assert "another model or version" in refused(tmp_path / "r")


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_files_that_were_cut_are_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "r"
    write_ranges(path, some(), DIGEST)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "cannot read the ranges in" in refused(path)


@pytest.mark.parametrize(
    "one",
    [
        np.array([[0, np.nan], [1, 1]], np.float32),
        np.array([[0, 0], [1, np.inf]], np.float32),
        np.array([[0, 2], [1, 1]], np.float32),  # the least above the greatest
        np.zeros((3, 2), np.float32),
        np.zeros(2, np.float32),
        np.zeros((2, 2), np.float64),
    ],
)
def test_damaged_ranges_are_refused_by_name(one: NDArray[np.float32], tmp_path: Path) -> None:
    save_file({**some(), "c.input": one}, tmp_path / "r", FACTS)
    assert "finds a damaged range, c.input, in" in refused(tmp_path / "r")


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(NumericalError, match="b is not finite"):
        write_ranges(tmp_path / "r", {"b": np.array([[0], [np.nan]], np.float32)}, DIGEST)
    with pytest.raises(OutputError):
        write_ranges(tmp_path / "none" / "r", some(), DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_is_of_all_numbers_and_names() -> None:
    first = fingerprint(some())
    assert fingerprint(dict(reversed(some().items()))) == first
    changed = some()
    changed["b.input"][0, 0] -= 1e-6
    assert fingerprint(changed) != first
    assert fingerprint({name.upper(): one for name, one in some().items()}) != first
