"""What a single file that steers is, and what is refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import ModelFileError
from sfumato.models.original.controls import read_control
from tiny_controlnets import original_controlnet, write_controlnet
from tiny_t2i import SD, original_t2i, write_t2i

ONE = torch.zeros(1)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """A ControlNet that is wide enough for the heads of Stable Diffusion 1."""
    net = write_controlnet(tmp_path_factory.mktemp("net"), block_out_channels=(16, 32), layers_per_block=2)
    return original_controlnet(net.state_dict())


def saved(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({name: one.clone().contiguous() for name, one in tensors.items()}, path)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_control(path)
    assert caught.value.field == "control"
    assert caught.value.value == str(path)
    assert caught.value.hint is not None
    return str(caught.value)


def test_each_kind_is_told_by_its_tensors(control: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert read_control(saved(tmp_path / "a.safetensors", control)).class_name == "ControlNetModel"
    prefixed = {f"control_model.{name}": one for name, one in control.items()}
    path = saved(tmp_path / "b.safetensors", prefixed)
    part = read_control(path)
    assert part.class_name == "ControlNetModel"
    assert part.stored["conv_in.weight"].key == "control_model.input_blocks.0.0.weight"
    assert part.stored["conv_in.weight"].path == path
    adapter: Any = write_t2i(tmp_path / "t2i", SD)
    path = saved(tmp_path / "c.safetensors", original_t2i(adapter.state_dict(), 2))
    assert read_control(path).class_name == "T2IAdapter"


def test_the_first_ones_brought_their_model_along(control: dict[str, torch.Tensor], tmp_path: Path) -> None:
    prefixed = {f"control_model.{name}": one for name, one in control.items()}
    whole = {**prefixed, "model.diffusion_model.input_blocks.0.0.weight": ONE, "logvar": ONE}
    part = read_control(saved(tmp_path / "a.safetensors", whole))
    assert len(part.stored) == len(control)
    line = complaint(saved(tmp_path / "b.safetensors", {**whole, "stranger": ONE}))
    assert "has 1 unknown tensors beside the ControlNet, as stranger" in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("task_embedding", "is a ControlNet Union, one network for several kinds of hints"),
        ("control_model.control_add_embedding.linear_1.weight", "is a ControlNet Union"),
        ("lora_controlnet", "is a Control-LoRA"),
        ("lllite_unet_input_blocks_1.down.0.weight", "is a ControlNet-LLLite"),
        ("ctrl_conv_in.weight", "is a ControlNet-XS"),
        ("difference", "is what a ControlNet adds to one model"),
        ("controlnet_blocks.0.weight", "is a ControlNet for a diffusion transformer"),
        ("style_embedding", "is a style adapter"),
    ],
)
def test_relatives_are_refused_by_name(
    name: str, words: str, control: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    assert words in complaint(saved(tmp_path / "net.safetensors", {**control, name: ONE}))


def test_what_is_neither_is_said(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    saved(path, {"lora_unet_down_blocks_0.lora_down.weight": ONE})
    assert "is a LoRA or one of its relatives, and no ControlNet" in complaint(path)
    saved(path, {"ip_adapter.1.to_k_ip.weight": ONE, "image_proj.proj.weight": ONE})
    assert "is an IP-Adapter, and no ControlNet" in complaint(path)
    saved(path, {"model.diffusion_model.out.0.weight": ONE})
    assert "is a model" in complaint(path)
    saved(path, {"weird": ONE})
    assert "is nothing that is known: it has 1 tensors, the first weird" in complaint(path)
    (tmp_path / "net.pth").write_bytes(b"\x80\x04")
    assert "is a pickle" in complaint(tmp_path / "net.pth")
    path.write_bytes(b"\x80\x04")
    with pytest.raises(ModelFileError, match=r"^control: "):
        read_control(path)


def test_tensors_that_do_not_fit_are_named(control: dict[str, torch.Tensor], tmp_path: Path) -> None:
    less = {name: one for name, one in control.items() if name != "middle_block_out.0.bias"}
    line = complaint(saved(tmp_path / "net.safetensors", less))
    assert "is no ControlNet that is known: it lacks controlnet_mid_block.bias" in line
    line = complaint(saved(tmp_path / "net.safetensors", {"body.0.block1.weight": ONE}))
    assert "is no T2I-Adapter that is known: it lacks adapter.body.0.in_conv.weight" in line


def test_one_that_is_pooled_is_refused(control: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved(tmp_path / "shuffle.safetensors", control)
    beside = tmp_path / "shuffle.yaml"
    beside.write_text("model:\n  params:\n    global_average_pooling: False\n")
    assert read_control(path).class_name == "ControlNetModel"
    beside.write_text("model:\n  params:\n    global_average_pooling: True\n")
    assert "is pooled over the whole picture (shuffle.yaml)" in complaint(path)
