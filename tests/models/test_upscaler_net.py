"""The network that is trained: it begins as the bicubic enlargement, and comes back from its folder."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from sfumato.errors import ModelFileError
from sfumato.models.upscaler_net import UpscalerNet, load_upscaler_net, save_upscaler
from sfumato.models.upscalers import WEIGHTS, UpscalerShape
from tiny_upscaler import SHAPE, write_upscaler


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_fresh_network_enlarges_bicubically() -> None:
    output = UpscalerNet(SHAPE)(pictures())
    assert output.shape == (2, 3, 24, 20)
    assert torch.equal(output, functional.interpolate(pictures(), scale_factor=4, mode="bicubic"))


def test_pixels_depend_on_what_is_within_reach_and_on_nothing_else() -> None:
    torch.manual_seed(0)
    net = UpscalerNet(SHAPE)
    torch.nn.init.normal_(net.tail.weight)
    row = torch.rand(1, 3, 1, 41)
    changed = row.clone()
    changed[..., 20] += 1
    touched = (net(changed) - net(row)).abs().amax(dim=(0, 1, 2)).reshape(41, 4).amax(dim=1) > 0
    places = touched.nonzero().flatten()
    assert (int(places.min()), int(places.max())) == (20 - SHAPE.reach, 20 + SHAPE.reach)


def test_the_sum_is_float32_whatever_convolutions_compute_in() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = UpscalerNet(SHAPE)(pictures())
    assert torch.equal(output, functional.interpolate(pictures(), scale_factor=4, mode="bicubic"))


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    write_upscaler(tmp_path)
    net = load_upscaler_net(tmp_path)
    assert net.shape == SHAPE
    assert {value.dtype for value in net.state_dict().values()} == {torch.float32}
    assert not net(pictures()).requires_grad
    (tmp_path / "again").mkdir()
    save_upscaler(net, tmp_path / "again", {})
    again = load_upscaler_net(tmp_path / "again")
    assert torch.equal(net(pictures()), again(pictures()))
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "_class_name": "SfumatoUpscaler", "factor": 4, "share": 0.1, "width": 8, "blocks": 2,
    }  # fmt: skip
    with safe_open(tmp_path / WEIGHTS, "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118


@pytest.mark.parametrize("damage", ["lacks", "unknown", "shape"])
def test_weights_that_do_not_fit_are_one_line(tmp_path: Path, damage: str) -> None:
    write_upscaler(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    if damage == "lacks":
        del tensors["merge.bias"]
    elif damage == "unknown":
        tensors["norm.weight"] = torch.zeros(3)
    else:
        config = UpscalerShape(width=12, blocks=2).config()
        (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(ModelFileError, match=r"does not fit its config\.json") as caught:
        load_upscaler_net(tmp_path)
    assert "\n" not in str(caught.value)
