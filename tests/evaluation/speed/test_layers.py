"""The lists of layers against the real classes: names, shapes and work."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

import sfumato.models
from sfumato.evaluation.speed.layers import Layer, decoder, encoder, flops, text_encoder, unet
from sfumato.evaluation.speed.sd15 import SD15
from tiny_architecture import TINY

BUNDLED = Path(sfumato.models.__file__).parent / "bundled" / "model"


def shapes(parts: Any) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for part in parts:
        if isinstance(part, Layer):
            found[f"{part.name}.weight"] = part.shape
            if part.bias:
                found[f"{part.name}.bias"] = part.shape[:1]
    return found


def on_paper(kind: Any, config: dict[str, Any]) -> Any:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return kind(CLIPTextConfig(**config)) if kind is CLIPTextModel else kind.from_config(config)


def real_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in network.state_dict().items()}


def counted(network: Any, *inputs: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return counter.get_total_flops()


def test_a_guided_step_of_stable_diffusion_costs_what_was_counted() -> None:
    # 1.607 TFLOP: torch's own counter gave 1606546882560 on the meta device.
    assert flops(unet(SD15.unet), 2, 64, 64, 77) == 1_606_546_882_560
    assert flops(decoder(SD15.vae), 1, 512, 512, 77) == 2_514_518_933_504


@pytest.mark.parametrize("architecture", [TINY, SD15], ids=lambda one: one.name)
def test_unets(architecture: Any) -> None:
    network = on_paper(UNet2DConditionModel, architecture.unet)
    assert shapes(unet(architecture.unet)) == real_shapes(network)
    width = architecture.unet["cross_attention_dim"]
    with torch.device("meta"):
        inputs = torch.empty(2, 4, 16, 24), torch.tensor(5), torch.empty(2, 77, width)
    assert flops(unet(architecture.unet), 2, 16, 24, 77) == counted(network, *inputs)


def test_the_bundled_unet() -> None:
    config = json.loads((BUNDLED / "unet" / "config.json").read_text(encoding="utf-8"))
    assert shapes(unet(config)) == real_shapes(on_paper(UNet2DConditionModel, config))


@pytest.mark.parametrize("architecture", [TINY, SD15], ids=lambda one: one.name)
def test_autoencoders(architecture: Any) -> None:
    config = architecture.vae
    network = on_paper(AutoencoderKL, config)
    assert shapes([*encoder(config), *decoder(config)]) == real_shapes(network)
    with torch.device("meta"):
        latents, pixels = torch.empty(1, 4, 8, 16), torch.empty(1, 3, 64, 128)
    assert flops(decoder(config), 1, 64, 128, 0) == counted(network.decode, latents)
    assert flops(encoder(config), 1, 64, 128, 0) == counted(network.encode, pixels)


@pytest.mark.parametrize("architecture", [TINY, SD15], ids=lambda one: one.name)
def test_text_encoders(architecture: Any) -> None:
    config = architecture.text_encoder
    network = on_paper(CLIPTextModel, config)
    ours = {name.removeprefix("text_model."): shape for name, shape in shapes(text_encoder(config)).items()}
    assert ours == {name.removeprefix("text_model."): one for name, one in real_shapes(network).items()}
    ids = torch.empty(2, 77, dtype=torch.long, device="meta")
    assert flops(text_encoder(config), 2, 0, 0, 77) == counted(network, ids)
