from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from sfumato.models.safetensors_header import read_header
from sfumato.models.tensor_writer import ToWrite, from_float32, write_tensors

NUMBERS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def to_write(name: str, bits: np.ndarray, dtype: str) -> ToWrite:
    return ToWrite(name, dtype, bits.shape, lambda: bits)


def test_the_reference_reader_finds_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "made.safetensors"
    half = NUMBERS.astype(np.float16)
    scalar = np.array(3.0, np.float32)
    empty = np.zeros((0, 4), np.float32)
    tensors = [
        to_write("b", half, "F16"),
        to_write("a", NUMBERS, "F32"),
        to_write("é", scalar, "F32"),
        to_write("none", empty, "F32"),
        to_write("transposed", NUMBERS.T, "F32"),
    ]
    write_tensors(path, tensors, {"z": "1", "a": "ü"})
    found = load_file(path)
    assert found.keys() == {"a", "b", "é", "none", "transposed"}
    assert np.array_equal(found["a"], NUMBERS)
    assert np.array_equal(found["b"], half)
    assert np.array_equal(found["transposed"], NUMBERS.T)
    assert found["é"].shape == ()
    assert found["none"].shape == (0, 4)
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"z": "1", "a": "ü"}
    header = read_header(path)
    assert header.body % 8 == 0
    assert all(one.start % 2 == 0 for one in header.tensors.values())


def test_order_and_time_leave_no_trace(tmp_path: Path) -> None:
    tensors = [to_write("b", NUMBERS, "F32"), to_write("a", NUMBERS[:1], "F32")]
    write_tensors(tmp_path / "one", tensors, {"x": "1", "y": "2"})
    write_tensors(tmp_path / "two", tensors[::-1], {"y": "2", "x": "1"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([to_write("a", NUMBERS, "F32"), to_write("a", NUMBERS, "F32")], "the same name"),
        ([ToWrite("a", "F32", (5, 4), lambda: NUMBERS)], r"became \(5, 3\)"),
        ([ToWrite("a", "F16", (5, 3), lambda: NUMBERS)], "float32"),
    ],
)
def test_what_was_announced_is_written_or_nothing(
    tmp_path: Path, tensors: list[ToWrite], message: str
) -> None:
    path = tmp_path / "made.safetensors"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=message):
        write_tensors(path, tensors, {})
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_are_rounded_to_the_nearest() -> None:
    numbers = np.random.default_rng(1).normal(size=4096).astype(np.float32) * np.float32(1e3)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 3.0e38, 3.4e38, 1.00390625, 1.01171875]
    numbers = np.concatenate([numbers, np.array(special, np.float32)])
    expected = torch.from_numpy(numbers).bfloat16().view(torch.uint16).numpy()
    found = from_float32(numbers, "BF16")
    nan = np.isnan(numbers)
    assert np.array_equal(found[~nan], expected[~nan])
    assert np.isnan((found[nan].astype(np.uint32) << 16).view(np.float32)).all()
    assert np.isinf(from_float32(np.array([1e6], np.float32), "F16")).all()
    assert from_float32(numbers, "F32") is numbers
    with pytest.raises(ValueError, match="F8_E4M3"):
        from_float32(numbers, "F8_E4M3")


def test_a_nan_of_any_bits_stays_one() -> None:
    almost = np.array([0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan((from_float32(almost, "BF16").astype(np.uint32) << 16).view(np.float32)).all()
