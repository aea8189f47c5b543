import pytest
import torch
from diffusers import UNet2DConditionModel

from sfumato.models.adapters.blocks import block_of, factor_of, original_modules
from sfumato.recipe.adapters import BLOCK_LISTS

XL = {
    "block_out_channels": (32, 64, 128),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 3),
    "cross_attention_dim": 64,
    "attention_head_dim": 8,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80,
}


def modules_of(**config) -> list[str]:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    return sorted({key.rpartition(".")[0] for key in unet.state_dict()})


def test_stable_diffusion_1_has_the_blocks_that_people_number():
    modules = modules_of(cross_attention_dim=64)
    original = original_modules(modules)
    assert original.keys() == set(modules)
    assert {block_of(name) for name in original.values()} == set(BLOCK_LISTS[26])
    attending = {block_of(name) for name in original.values() if "attn1" in name}
    assert attending == set(BLOCK_LISTS[17]) - {"BASE"}
    name = "up_blocks.1.attentions.2.transformer_blocks.0.attn1.to_q"
    assert original[name] == "output_blocks.5.1.transformer_blocks.0.attn1.to_q"
    assert block_of(original[name]) == "OUT05"


def test_stable_diffusion_xl_has_others():
    original = original_modules(modules_of(**XL))
    assert {block_of(name) for name in original.values()} == set(BLOCK_LISTS[20])
    attending = {block_of(name) for name in original.values() if "attn1" in name}
    assert attending == set(BLOCK_LISTS[12]) - {"BASE"}
    assert original["add_embedding.linear_2"] == "label_emb.0.2"


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("time_embed.0", "BASE"),
        ("out.2", "BASE"),
        ("middle_block.1.proj_in", "MID"),
        ("input_blocks.0.0", "IN00"),
    ],
)
def test_blocks_by_name(name, block):
    assert block_of(name) == block


def test_what_is_not_said_is_one():
    assert (factor_of("MID", {"MID": 0.5}), factor_of("IN00", {"MID": 0.5})) == (0.5, 1.0)
