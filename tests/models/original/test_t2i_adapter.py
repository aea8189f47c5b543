"""T2I-Adapters described from names and shapes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import T2IAdapter

from sfumato.models.original.controlnet import Unfit
from sfumato.models.original.parts import Part, Source
from sfumato.models.original.t2i_adapter import FULL, LARGE, LIGHT, t2i_adapter_of
from sfumato.models.safetensors_header import Header, Tensor
from tiny_t2i import original_t2i

WIDE = [320, 640, 1280, 1280]
#: As published; of the first ones sketch and canny take grey pictures.
PUBLISHED: dict[str, dict[str, Any]] = {
    "depth-sd14v1": {"adapter_type": FULL, "channels": WIDE},
    "canny-sd14v1": {"adapter_type": FULL, "channels": WIDE, "in_channels": 1},
    "canny-sdxl": {"adapter_type": LARGE, "channels": WIDE, "downscale_factor": 16},
    "color-sd14v1": {"adapter_type": LIGHT, "channels": WIDE[:3], "num_res_blocks": 4},
}


def network(config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return T2IAdapter(**config).state_dict()


def described(state: Mapping[str, torch.Tensor]) -> Part:
    held = {name: Tensor("F16", tuple(one.shape), 0, 2) for name, one in state.items()}
    header = Header({}, held, 0, 0)
    return t2i_adapter_of(Source(Path("t2i.safetensors"), "", header.shapes, header))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_ones_are_described_as_they_were_built(name: str) -> None:
    config = PUBLISHED[name]
    state = network(config)
    layers = config.get("num_res_blocks", 2)
    original = original_t2i(state, layers)
    bare = {key.removeprefix("adapter."): one for key, one in state.items()}
    prefixed = {f"adapter.{key}": one for key, one in original.items()}
    for layout in (state, bare, original, prefixed):
        part = described(layout)
        whole = {"in_channels": 3, "num_res_blocks": 2, "downscale_factor": 8, **config}
        assert {key: part.config[key] for key in whole} == whole
        assert set(part.stored) == set(state)
        assert all(layout[one.key] is state[ours] for ours, one in part.stored.items())


def test_the_layouts_differ() -> None:
    state = network(PUBLISHED["depth-sd14v1"])
    original = original_t2i(state, 2)
    assert "body.3.block1.weight" in original
    assert "body.2.in_conv.weight" in original
    assert not original.keys() & state.keys()


def test_every_tensor_is_accounted_for() -> None:
    original = original_t2i(network(PUBLISHED["depth-sd14v1"]), 2)
    with pytest.raises(Unfit, match=r"it lacks adapter\.conv_in\.bias \(1 tensors missing, 0 unknown"):
        described({key: one for key, one in original.items() if key != "conv_in.bias"})
    with pytest.raises(Unfit, match=r"it has body\.1\.skep\.weight, which is not known"):
        described({**original, "body.1.skep.weight": original["conv_in.weight"]})
    wide = torch.empty(320, 320, 3, 3, device="meta")
    with pytest.raises(Unfit, match=r"its body\.0\.block2\.weight is 320x320x3x3, not 320x320x1x1"):
        described({**original, "body.0.block2.weight": wide})
    odd = torch.empty(320, 100, 3, 3, device="meta")
    with pytest.raises(Unfit, match=r"conv_in\.weight takes 100 channels: pictures have 1 or 3"):
        described({**original, "conv_in.weight": odd})
    with pytest.raises(Unfit, match="one name twice"):
        described({**original, "adapter.conv_in.bias": original["conv_in.bias"]})
    with pytest.raises(Unfit, match=r"it lacks adapter\.body\.0\.resnets\.0\.block1\.weight"):
        described({"conv_in.weight": original["conv_in.weight"]})
