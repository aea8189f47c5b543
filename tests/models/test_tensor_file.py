"""Safetensors files as numpy arrays."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sfumato.models.tensor_file import EIGHT_BIT_KINDS, TensorFile, as_float32, of_eight_bits

NUMBERS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


@pytest.mark.parametrize("name", DTYPES)
def test_every_kind_is_read_as_torch_reads_it(name: str, tmp_path: Path) -> None:
    stored = NUMBERS.to(DTYPES[name])
    save_file({"a": stored, "b": torch.zeros(1, dtype=torch.uint8)}, tmp_path / "w.safetensors")
    file = TensorFile(tmp_path / "w.safetensors")
    assert file.tensors["a"].dtype == name
    np.testing.assert_array_equal(as_float32(file.bits("a"), name), stored.float().numpy())


@pytest.mark.parametrize("name", sorted(EIGHT_BIT_KINDS))
def test_all_256_numbers_of_eight_bits_are_those_of_torch(name: str) -> None:
    every = np.arange(256, dtype=np.uint8)
    expected = torch.from_numpy(every).view(DTYPES[name]).to(torch.float16).numpy()
    found = of_eight_bits(every, name)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(found[there].view(np.uint16), expected[there].view(np.uint16))


def test_writing_into_what_is_mapped_leaves_the_file_alone(tmp_path: Path) -> None:
    save_file({"a": NUMBERS}, tmp_path / "w.safetensors")
    before = (tmp_path / "w.safetensors").read_bytes()
    TensorFile(tmp_path / "w.safetensors").bits("a")[:] = 0
    assert (tmp_path / "w.safetensors").read_bytes() == before


def test_what_is_let_go_of_is_read_again(tmp_path: Path) -> None:
    numbers = np.arange(5000, dtype=np.float32)
    save_file({"a": torch.zeros(7), "b": torch.from_numpy(numbers)}, tmp_path / "w.safetensors")
    file = TensorFile(tmp_path / "w.safetensors")
    view = file.bits("b")
    view[:] = 1  # changes nothing in the file
    assert file.bits("b")[4999] == 1
    file.let_go("b")
    if sys.platform == "linux":
        np.testing.assert_array_equal(view, numbers)
    np.testing.assert_array_equal(TensorFile(tmp_path / "w.safetensors").bits("b"), numbers)
