"""ESRGAN files: three dialects read as one, and everything else refused before a tensor is loaded."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import ModelFileError
from sfumato.models import esrgan
from sfumato.models.esrgan import EsrganShape, read_esrgan
from tiny_esrgan import GROWTH, WIDTH, tensors_of, tiny_esrgan, write_esrgan

REAL = ("body.0.rdb1.conv1", "body.0.rdb3.conv5")


@pytest.mark.parametrize(("doublings", "fold", "factor"), [(0, 1, 1), (1, 1, 2), (2, 1, 4), (3, 1, 8)])
@pytest.mark.parametrize("dialect", ["first", "second", "real"])
def test_shape_and_factor_are_in_the_file(
    dialect: str, doublings: int, fold: int, factor: int, tmp_path: Path
) -> None:
    net = tiny_esrgan(2, doublings, fold)
    file = read_esrgan(write_esrgan(tmp_path / "a.safetensors", net, dialect))
    assert file.shape == EsrganShape(WIDTH, GROWTH, 2, doublings, fold)
    assert file.shape.factor == factor
    assert len(file.doubling) == doublings
    every = {file.first, file.merge, *file.doubling, file.large, file.last}
    every |= {name for block in file.dense for one in block for name in one}
    assert {f"{name}.weight" for name in every} == {
        key for key in tensors_of(net, dialect) if key.endswith(".weight")
    }


@pytest.mark.parametrize(("fold", "factor"), [(2, 2), (4, 1)])
def test_folded_pixels_count_against_the_doublings(fold: int, factor: int, tmp_path: Path) -> None:
    file = read_esrgan(write_esrgan(tmp_path / "a.safetensors", tiny_esrgan(1, 2, fold)))
    assert (file.shape.fold, file.shape.factor) == (fold, factor)


def test_wrapped_names_are_unwrapped(tmp_path: Path) -> None:
    file = read_esrgan(write_esrgan(tmp_path / "a.safetensors", tiny_esrgan(), "real", "params_ema."))
    assert file.first == "params_ema.conv_first"


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
def test_pickles_are_refused_with_what_to_do(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"4x_Ultra{suffix}"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match=r"is a pickle, .* Only safetensors is opened: get the network"):
        read_esrgan(path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("missing", "network: no such file or folder"),
        ("truncated", "is damaged or truncated"),
        ("text", "is damaged or truncated"),
        ("empty", "holds no tensors"),
        ("other", "is no network of the kind ESRGAN"),
        ("whole numbers", "holds I64 in conv_first.bias where fractions belong"),
        ("lacks", "lacks conv_hr.weight"),
        ("lacks inside", f"lacks {REAL[1]}.weight"),
        ("lacks bias", "holds conv_body.bias of shape None, not (6,)"),
        ("unknown", "holds norm.weight, which such a network does not have"),
        ("shape", "holds conv_body.weight of shape (6, 7, 3, 3), not (6, 6, 3, 3)"),
        ("grey", "turns 1 channels into 3, not colours into colours"),
        ("wide", "has 9000 and 4 channels in 1 blocks, which is out of range"),
        ("flat", "lacks conv_first.weight"),
    ],
)
def test_what_cannot_be_used_is_one_line(damage: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    tensors = tensors_of(tiny_esrgan(), "real")
    changes = {
        "whole numbers": {"conv_first.bias": torch.zeros(WIDTH, dtype=torch.int64)},
        "unknown": {"norm.weight": torch.zeros(3)},
        "shape": {"conv_body.weight": torch.zeros(6, 7, 3, 3)},
        "grey": {"conv_first.weight": torch.zeros(6, 1, 3, 3)},
        "wide": {"conv_first.weight": torch.zeros(9000, 3, 1, 1)},
        "flat": {"conv_first.weight": torch.zeros(6, 3)},
    }
    gone = {"lacks": "conv_hr.weight", "lacks inside": f"{REAL[1]}.weight", "lacks bias": "conv_body.bias"}
    tensors |= changes.get(damage, {})
    tensors.pop(gone.get(damage, ""), None)
    if damage == "text":
        path.write_text("I am a network")
    elif damage != "missing":
        kept = {"other": {"unet.conv.weight": torch.zeros(3)}, "empty": {}}.get(damage, tensors)
        save_file(kept, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelFileError) as caught:
        read_esrgan(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gigantic_file_is_not_even_opened(tmp_path: Path) -> None:
    path = write_esrgan(tmp_path / "a.safetensors", tiny_esrgan())
    with path.open("r+b") as file:
        file.truncate(esrgan.MAX_BYTES + 2**20)  # sparse: takes no room
    with pytest.raises(ModelFileError, match=r"a.safetensors has 1025 MB; upscaling networks have less"):
        read_esrgan(path)
