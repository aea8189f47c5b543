"""Weights into networks of torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.backends.openvino.weights import weights_of
from sfumato.models.backends.torch_offload import Keeping
from sfumato.models.backends.torch_weights import VAE, load_network, read_tensors
from sfumato.models.network_files import Config, NetworkFiles
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


KEPT = [("none", "int8"), ("component", "whole"), ("sequential", "whole"), ("sequential", "float8")]


def kept(path: Path, offload: str, storage: str, **stored: Stored) -> Any:
    def build(config: Config) -> Any:
        return torch.nn.Sequential(_Linear(), torch.nn.LayerNorm(6))

    keeping = Keeping.asked(offload, storage)
    return load_network(network(path, **stored), build, CPU, torch.float32, keeping=keeping)


@pytest.mark.parametrize(("offload", "storage"), KEPT)
def test_weights_that_do_not_fit_are_refused_however_they_are_kept(
    offload: str, storage: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    norm = {"1.weight": torch.ones(6), "1.bias": torch.zeros(6)}
    good = {"0.a.weight": torch.randn(6, 4), **norm}
    for wrong, said in (
        (
            {**good, "0.a.weight": torch.randn(6, 5)},
            r"holds 0\.a\.weight with shape \(6, 5\), and",
        ),
        (norm, r"lacks 0\.a\.weight \(1 tensors missing"),
        ({**good, "b": torch.zeros(2)}, r"holds b, unknown to its config\.json"),
        ({**good, "1.bias": torch.arange(6)}, r"holds I64 in 1\.bias where fractions"),
    ):
        save_file(wrong, path)
        with pytest.raises(ModelFileError, match=said):
            kept(path, offload, storage)
    save_file(good, path)
    with pytest.raises(ModelFileError, match="lacks gone"):
        kept(path, offload, storage, **{key: Stored(path, "gone") for key in good})
    assert kept(path, offload, storage)[0].a(torch.ones(2, 4)).shape == (2, 6)


@pytest.mark.parametrize(("offload", "storage"), KEPT)
def test_old_names_and_shapes_are_read_however_they_are_kept(
    offload: str, storage: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    numbers = torch.randn(6, 4, 1, 1)
    norm = {"text_model.1.weight": torch.ones(6), "text_model.1.bias": torch.zeros(6)}
    save_file({"text_model.0.a.weight": numbers, "position_ids": torch.arange(3), **norm}, path)
    made = kept(path, offload, storage)
    weight = made[0].a.kept.take()
    assert weight.shape == (6, 4)
    assert torch.allclose(weight, numbers[:, :, 0, 0], atol=0.15)
    assert torch.equal(made[1].weight, torch.ones(6))


def test_what_a_file_has_in_eight_bits_is_kept_without_a_copy(tmp_path: Path) -> None:
    path, numbers = tmp_path / "w.safetensors", torch.randn(6, 4).to(torch.float8_e4m3fn)
    save_file({"a.weight": numbers}, path)
    keeping = Keeping.asked("none", "float8")
    made = load_network(network(path), lambda config: _Linear(), CPU, torch.bfloat16, keeping=keeping)
    form = made.a.kept.source.load()
    assert (form.data.dtype, form.scale) == (torch.float8_e4m3fn, None)
    assert torch.equal(form.whole(), numbers.to(torch.bfloat16))
    plain = load_network(network(path), lambda config: _Linear(), CPU, torch.bfloat16)
    x = torch.randn(3, 4, dtype=torch.bfloat16)
    assert torch.equal(made.a(x), plain.a(x))
    with torch.no_grad():
        form.data.view(torch.uint8)[0, 0] = 0  # the mapped file's page, which is nobody else's
    assert torch.equal(load_file(path)["a.weight"].view(torch.uint8), numbers.view(torch.uint8))


def test_the_autoencoder_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a.weight": torch.randn(6, 4)}, path)
    keeping = Keeping.asked("none", "int8")
    made = load_network(
        network(path), lambda config: _Linear(), CPU, torch.float32, keeping=keeping, group=VAE
    )
    assert type(made.a) is torch.nn.Linear


def test_kernels_lie_as_asked_for(tmp_path: Path) -> None:
    path, kernel = tmp_path / "w.safetensors", torch.randn(6, 4, 3, 3)
    save_file({"a.weight": kernel}, path)
    for layout in (torch.contiguous_format, torch.channels_last):
        made = load_network(network(path), lambda config: _Convolution(), CPU, torch.float32, layout)
        assert made.a.weight.is_contiguous(memory_format=layout)
        assert torch.equal(made.a.weight, kernel)
