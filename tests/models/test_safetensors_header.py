"""Damaged, made up and mistaken safetensors files: each is refused in one line, in little memory."""

import json
import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from damaged_headers import CASES, MARK, entry, file_of
from sfumato.errors import ModelFileError
from sfumato.models import safetensors_header
from sfumato.models.safetensors_header import BITS, Tensor, read_header

MOST = 150 * 10**6  # bytes, as the docstring promises


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_safetensors_file_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv(MARK, str(mark))
    path = tmp_path / "folder" / "model.safetensors"
    path.parent.mkdir()
    write, words = CASES[name]
    write(path)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            read_header(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    line = str(caught.value)
    assert words in line
    assert line.startswith("model: folder/model.safetensors ")
    assert "\n" not in line
    assert len(line) < 600
    assert caught.value.field == "model"
    assert caught.value.value == str(path)
    assert caught.value.hint
    assert peak < MOST
    assert not mark.exists()


def test_the_payload_would_run_if_it_were_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.setenv(MARK, str(tmp_path / "ran"))
    CASES["pickle"][0](tmp_path / "a")
    pickle.loads((tmp_path / "a").read_bytes())
    assert (tmp_path / "ran").exists()


def test_a_whole_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "unet.weight": np.arange(6, dtype=np.float16).reshape(2, 3),
        "größe": np.array(7, np.int64),
        'quoted "\\ name': np.zeros((0, 4), np.float32),
        "mask": np.array([True, False]),
    }
    save_file(tensors, path, {"format": "pt", "note": 'two\nlines and "quotes" \N{FROG FACE}'})
    header = read_header(path)
    assert header.metadata == {"format": "pt", "note": 'two\nlines and "quotes" \N{FROG FACE}'}
    assert header.shapes == {name: value.shape for name, value in tensors.items()}
    assert header.num_bytes == path.stat().st_size
    content = path.read_bytes()
    for name, value in tensors.items():
        tensor = header.tensors[name]
        assert content[tensor.start : tensor.end] == value.tobytes(), name
        assert tensor.num_elements == value.size
    assert {name: one.dtype for name, one in header.tensors.items()} == {
        "unet.weight": "F16",
        "größe": "I64",
        'quoted "\\ name': "F32",
        "mask": "BOOL",
    }
    assert len(content) - header.body == sum(value.nbytes for value in tensors.values())


@pytest.mark.parametrize("dtype", BITS)
def test_every_kind_of_number_is_known(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    size = 4 * BITS[dtype] // 8
    path.write_bytes(file_of({"a": entry(0, size, [4], dtype)}, size))
    header = read_header(path)
    assert header.tensors["a"] == Tensor(dtype, (4,), header.body, header.body + size)


def test_any_order_and_any_spacing_will_do(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    loose = {
        "b": {"data_offsets": [8, 16], "shape": [2], "dtype": "F32"},
        "__metadata__": {},
        "a": entry(0, 8),
        "c": entry(16, 20, []),
    }
    path.write_bytes(file_of(json.dumps(loose, indent=1).encode() + b"  \n", 20))
    header = read_header(path)
    assert list(header.tensors) == ["b", "a", "c"]
    assert header.tensors["b"].start == header.body + 8
    assert header.tensors["c"].shape == ()


def test_the_largest_there_may_be_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {f"layer.{n}": entry(4 * n, 4 * n + 4, [1]) for n in range(safetensors_header.MAX_TENSORS)}
    path.write_bytes(file_of(tensors, 4 * len(tensors)))
    assert len(read_header(path).tensors) == safetensors_header.MAX_TENSORS


def test_names_no_file_can_have_are_refused(tmp_path: Path) -> None:
    for name, words in (("a" * 300 + ".safetensors", "too long"), ("a\0b", "no file can have")):
        with pytest.raises(ModelFileError, match=words) as caught:
            read_header(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert "\0" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everybody may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"")
    path.chmod(0)
    with pytest.raises(ModelFileError, match="may not be read"):
        read_header(path)


def test_the_field_is_what_the_file_is_for(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"^control: .*is missing"):
        read_header(tmp_path / "a.safetensors", field="control")


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    old = time.time() - 60
    save_file({"a": np.zeros(2, np.float32)}, path)
    os.utime(path, (old, old))
    first = read_header(path)
    assert read_header(path) is first
    save_file({"b": np.zeros(2, np.float32)}, path)
    assert list(read_header(path).tensors) == ["b"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="truncated"):
        read_header(path)


def test_any_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"a.weight": np.ones((2, 3), np.float16), "b": np.zeros(4, np.int8), "ü": np.float32([1])}
    save_file({name: np.asarray(value) for name, value in tensors.items()}, path, {"note": "x"})
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for place in random.integers(len(data), size=random.integers(1, 4)):
            data[place] = (
                random.integers(256) if random.random() < 0.5 else b'{}[]",:0129-.eE\\ '[random.integers(17)]
            )
        path.write_bytes(
            data[: random.integers(len(data) // 2, len(data) + 1)] if random.random() < 0.2 else data
        )
        try:
            header = read_header(path)
        except ModelFileError:
            refused += 1
            continue
        ends = [tensor.end for tensor in header.tensors.values()]
        assert max(ends) == path.stat().st_size
    assert refused > 200
