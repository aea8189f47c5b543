"""Weights into networks of torch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.backends.openvino.weights import weights_of
from sfumato.models.backends.torch_weights import load_network, read_tensors
from sfumato.models.network_files import NetworkFiles
from sfumato.models.stored import Rows, Stored

CPU = torch.device("cpu")
EIGHT = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}


def network(path: Path, **stored: Stored) -> NetworkFiles:
    return NetworkFiles("unet", {}, path, stored=stored or None)


@pytest.mark.parametrize("name", EIGHT)
def test_weights_of_eight_bits_are_widened_exactly_by_both_backends(name: str, tmp_path: Path) -> None:
    numbers = torch.randn(6, 4).to(EIGHT[name])
    path = tmp_path / "w.safetensors"
    save_file({"a.weight": numbers}, path)
    files = network(path)
    assert torch.equal(read_tensors(files, CPU, torch.float32)["a.weight"], numbers.float())
    assert (weights_of(files).array("a.weight") == numbers.float().numpy()).all()
    linear = load_network(files, lambda config: _Linear(), CPU, torch.float16)
    assert torch.equal(linear.a.weight, numbers.to(torch.float16))


class _Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(4, 6, bias=False)


def test_tensors_are_changed_on_the_way_in_by_both_backends(tmp_path: Path) -> None:
    path, other = tmp_path / "w.safetensors", tmp_path / "v.safetensors"
    packed, kernel, square = torch.randn(6, 2), torch.randn(3, 2, 1, 1), torch.randn(3, 2)
    save_file({"qkv": packed, "kernel": kernel, "unused": torch.zeros(1)}, path)
    save_file({"square": square}, other)
    files = network(
        path,
        q=Stored(path, "qkv", Rows(0, 2)),
        v=Stored(path, "qkv", Rows(4, 6)),
        k=Stored(path, "kernel", "matrix"),
        s=Stored(other, "square", "transposed"),
    )
    expected = {"q": packed[:2], "v": packed[4:], "k": kernel[:, :, 0, 0], "s": square.T}
    found = read_tensors(files, CPU, torch.float32)
    weights = weights_of(files)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)
        assert found[name].is_contiguous()
        assert weights.shape(name) == tuple(tensor.shape)
        assert (weights.array(name) == tensor.numpy()).all()
    weights.check_all_taken()
    assert files.paths == (path, other)


def test_whole_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.arange(3)}, path)
    with pytest.raises(ModelFileError, match=r"holds torch\.int64 in a where fractions belong"):
        read_tensors(network(path), CPU, torch.float32)


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    files = replace(network(path), stored={"a": Stored(tmp_path / "x.safetensors", "a")})
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_tensors(files, CPU, torch.float32)
    assert load_file(path).keys() == {"a"}


class _Convolution(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Conv2d(4, 6, 3, bias=False)


def test_kernels_lie_as_asked_for(tmp_path: Path) -> None:
    path, kernel = tmp_path / "w.safetensors", torch.randn(6, 4, 3, 3)
    save_file({"a.weight": kernel}, path)
    for layout in (torch.contiguous_format, torch.channels_last):
        made = load_network(network(path), lambda config: _Convolution(), CPU, torch.float32, layout)
        assert made.a.weight.is_contiguous(memory_format=layout)
        assert torch.equal(made.a.weight, kernel)
