"""ControlNets described from names and shapes: configurations, layouts, and every tensor accounted for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel

from sfumato.models.original.controlnet import Unfit, controlnet_of
from sfumato.models.original.parts import Part, Source
from sfumato.models.safetensors_header import Header, Tensor
from tiny_controlnets import original_controlnet

X, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
LARGE = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "down_block_types": [PLAIN, X, X],
    "transformer_layers_per_block": [1, 2, 10],
}
#: At full size (on the meta device): three families, and SDXL's with less attention, as diffusers published.
KNOWN: dict[str, dict[str, Any]] = {
    "sd1": {"cross_attention_dim": 768},
    "sd2": {
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
        "attention_head_dim": [5, 10, 20, 20],
    },
    "sdxl": LARGE,
    "sdxl-shallow": {**LARGE, "transformer_layers_per_block": [0, 0, 1]},
    "sdxl-blind": {**LARGE, "down_block_types": [PLAIN] * 3, "mid_block_type": "UNetMidBlock2D"},
}


def network(config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return ControlNetModel(**config).state_dict()


def described(state: Mapping[str, torch.Tensor]) -> Part:
    held = {name: Tensor("F16", tuple(one.shape), 0, 2) for name, one in state.items()}
    header = Header({}, held, 0, 0)
    return controlnet_of(Source(Path("net.safetensors"), "", header.shapes, header))


@pytest.mark.parametrize("name", KNOWN)
def test_they_are_described_as_they_were_built(name: str) -> None:
    config = KNOWN[name]
    state = network(config)
    part = described(state)
    with torch.device("meta"):
        rebuilt: Any = ControlNetModel.from_config(dict(part.config))
    assert {key: one.shape for key, one in rebuilt.state_dict().items()} == {
        key: one.shape for key, one in state.items()
    }
    if name == "sd1":
        assert sum(one.numel() for one in state.values()) == 361_279_120  # the published figure
    assert part.config["block_out_channels"] == config.get("block_out_channels", [320, 640, 1280, 1280])
    if name != "sdxl-blind":  # what shapes do not show, and drawings do
        assert part.config["attention_head_dim"] == config.get("attention_head_dim", 8)
    seen = None if name == "sdxl-blind" else config["cross_attention_dim"]
    assert part.config.get("cross_attention_dim") == seen
    assert part.config.get("addition_time_embed_dim") == config.get("addition_time_embed_dim")


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_the_original_layout_is_the_same_network(name: str) -> None:
    state = network(KNOWN[name])
    original = original_controlnet(state)
    ours, theirs = described(state), described(original)
    assert theirs.config == ours.config
    assert set(theirs.stored) == set(state)
    assert {stored.key for stored in theirs.stored.values()} == set(original)
    assert theirs.stored["controlnet_mid_block.bias"].key == "middle_block_out.0.bias"
    assert theirs.stored["controlnet_cond_embedding.conv_out.weight"].key == "input_hint_block.14.weight"
    assert all(original[one.key] is state[name] for name, one in theirs.stored.items())


def test_every_tensor_is_accounted_for() -> None:
    state = network(KNOWN["sd1"])
    original = original_controlnet(state)
    for whole in (state, original):
        for name in ("middle_block_out.0.bias", "controlnet_mid_block.bias", "zero_convs.3.0.weight"):
            if name in whole:
                with pytest.raises(Unfit, match=r"it lacks .*\(1 tensors missing, 0 unknown\)"):
                    described({key: one for key, one in whole.items() if key != name})
        with pytest.raises(Unfit, match=r"it has stranger\.weight, which is not known \(0 tens"):
            described({**whole, "stranger.weight": state["conv_in.bias"]})
    bent = {**original, "zero_convs.3.0.weight": state["conv_in.weight"]}
    with pytest.raises(Unfit, match=r"its zero_convs\.3\.0\.weight is 320x4x3x3, not 320x320x1x1"):
        described(bent)


def test_numbers_that_contradict_each_other_are_refused() -> None:
    state = network(KNOWN["sd1"])
    with pytest.raises(Unfit, match=r"it lacks down_blocks\.0\.resnets\.0\.conv1\.weight"):
        described({name: one for name, one in state.items() if name.startswith("controlnet_")})
    with pytest.raises(Unfit, match=r"conv_in\.weight is 320"):
        described({**state, "conv_in.weight": state["conv_in.bias"]})
    with pytest.raises(Unfit, match=r"its mid_block\.attentions\.0\.norm\.bias is 320"):
        described({**state, "mid_block.attentions.0.norm.bias": state["conv_in.bias"]})
