"""The UNet in two parts against diffusers' own forward pass, for every layout of blocks."""

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.pipelines.latent_consistency_models.pipeline_latent_consistency_text2img import (
    LatentConsistencyModelPipeline,
)

from sfumato.errors import InputError
from sfumato.models.backends.torch_unet import Inputs, embed_guidance, num_skips, predict, predict_reusing

PLAIN = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
ATTENDING = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
SDXL = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 16 + 6 * 8,
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "plain first block": {},
    "two layers": {"layers_per_block": 2},
    "attending first block": {"blocks": ATTENDING},
    "attending first block, two layers": {"blocks": ATTENDING, "layers_per_block": 2},
    "no mid block": {"blocks": ATTENDING, "mid_block_type": None},
    "mid block without attention": {"mid_block_type": "UNetMidBlock2D"},
    "one level": {
        "blocks": (("CrossAttnDownBlock2D",), ("CrossAttnUpBlock2D",)),
        "block_out_channels": (16,),
    },
    "added conditions": SDXL,
    "told guidance": {"time_cond_proj_dim": 12},
    "labelled": {"num_class_embeds": 10},
    "labelled, joined": {"num_class_embeds": 10, "class_embeddings_concat": True},
    "centred input": {"center_input_sample": True},
    "activated time": {"time_embedding_act_fn": "silu"},
}


def unet_of(layout: str) -> UNet2DConditionModel:
    options = dict(LAYOUTS[layout])
    down, up = options.pop("blocks", PLAIN)
    fixed: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 12,
        "attention_head_dim": 2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return (
            UNet2DConditionModel(down_block_types=down, up_block_types=up, **{**fixed, **options})
            .eval()
            .requires_grad_(False)
        )


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs_of(
    layout: str, unet: UNet2DConditionModel, size: tuple[int, int] = (8, 8), residuals: bool = False
) -> Inputs:
    added = {"text_embeds": normal(2, 16), "time_ids": normal(2, 6) * 100}
    guidance = embed_guidance(7.5, 12, 2)
    down: tuple[torch.Tensor, ...] = ()
    mid: torch.Tensor | None = None
    if residuals:
        seen = skips(unet, normal(2, 4, *size))
        down = tuple(normal(*one.shape, seed=number) for number, one in enumerate(seen))
        mid = normal(*seen[-1].shape, seed=99)
    return Inputs(
        x=normal(2, 4, *size),
        time=torch.tensor(321.5),
        context=normal(2, 5, 12, seed=1),
        guidance=guidance if "time_cond_proj_dim" in LAYOUTS[layout] else None,
        added=added if "addition_embed_type" in LAYOUTS[layout] else None,
        down=down,
        mid=mid,
        labels=torch.tensor([3, 7]) if "num_class_embeds" in LAYOUTS[layout] else None,
    )


def skips(unet: Any, x: torch.Tensor) -> list[torch.Tensor]:
    """The shapes of all skip connections, from the channels of the blocks."""
    h = unet.conv_in(x)
    found = [h]
    for block in unet.down_blocks:
        channels = block.resnets[0].out_channels
        found += [torch.zeros(2, channels, *h.shape[2:]) for _ in block.resnets]
        if block.downsamplers is not None:
            h = torch.zeros(2, channels, *(-(-side // 2) for side in h.shape[2:]))
            found.append(h)
    return found


@pytest.mark.parametrize("residuals", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_parts_together_are_diffusers_forward_pass(layout: str, residuals: bool) -> None:
    unet = unet_of(layout)
    inputs = inputs_of(layout, unet, residuals=residuals)
    whole, features = predict_reusing(unet, inputs, None)
    assert torch.equal(whole, predict(unet, inputs))
    assert features.shape[0] == 2
    assert features.shape[2:] == (8, 8)
    again, same = predict_reusing(unet, inputs, features)
    assert same is features
    assert torch.allclose(again, whole, atol=1e-6)
    other, _ = predict_reusing(unet, inputs, features + normal(*features.shape))
    assert not torch.allclose(other, whole, atol=1e-2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_reuses_follows_its_own_input_and_time(layout: str) -> None:
    unet = unet_of(layout)
    inputs = inputs_of(layout, unet)
    whole, features = predict_reusing(unet, inputs, None)
    moved = Inputs(**{**vars(inputs), "x": inputs.x + 1})
    later = Inputs(**{**vars(inputs), "time": torch.tensor(20.0)})
    for changed in (moved, later):
        assert not torch.allclose(predict_reusing(unet, changed, features)[0], whole, atol=1e-3)


@pytest.mark.parametrize("layout", ["plain first block", "attending first block, two layers", "no mid block"])
def test_sides_need_not_be_even(layout: str) -> None:
    unet = unet_of(layout)
    inputs = inputs_of(layout, unet, size=(7, 9), residuals=True)
    whole, features = predict_reusing(unet, inputs, None)
    assert torch.equal(whole, predict(unet, inputs))
    assert torch.allclose(predict_reusing(unet, inputs, features)[0], whole, atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_residuals_are_as_many_as_skip_connections(layout: str) -> None:
    unet = unet_of(layout)
    assert num_skips(unet) == len(skips(unet, normal(2, 4, 8, 8)))


@pytest.mark.parametrize("size", [12, 13, 256])
def test_guidance_is_embedded_as_latent_consistency_models_were_published(size: int) -> None:
    pipeline: Any = LatentConsistencyModelPipeline
    theirs = pipeline.get_guidance_scale_embedding(None, torch.tensor([7.5 - 1]), size)
    assert torch.allclose(embed_guidance(7.5, size, 3), theirs.expand(3, size), atol=1e-4)


def test_a_last_block_of_another_kind_is_refused() -> None:
    unet = UNet2DConditionModel(
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        block_out_channels=(16, 32),
        norm_num_groups=8,
        cross_attention_dim=12,
        attention_head_dim=2,
    ).eval()
    with pytest.raises(InputError, match=r"cache_interval: is not possible with a UNet that ends in AttnUp"):
        predict_reusing(unet, inputs_of("plain first block", unet), None)
