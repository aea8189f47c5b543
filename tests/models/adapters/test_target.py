import pytest
import torch
from diffusers import UNet2DConditionModel

from models.adapters.test_blocks import XL
from sfumato.models.adapters.target import Place, shapes_of, target_with
from sfumato.models.network_files import NetworkFiles
from sfumato.models.stored import Stored
from tiny_adapters import tiny_target, write_adapter


@pytest.fixture(scope="module")
def large():
    """The names of a network built like Stable Diffusion XL's, and of its two text encoders."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**XL)
    text = {"encoder.layers.0.self_attn.q_proj.weight": (8, 8)}
    shapes = {key: tuple(value.shape) for key, value in unet.state_dict().items()}
    return target_with({"unet": shapes, "text_encoder": text, "text_encoder_2": text})


@pytest.mark.parametrize(
    ("raw", "network", "name", "block"),
    [
        (
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
            "unet",
            "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
            "IN04",
        ),
        (
            "lora_unet_output_blocks_2_1_transformer_blocks_2_ff_net_0_proj",
            "unet",
            "up_blocks.0.attentions.2.transformer_blocks.2.ff.net.0.proj",
            "OUT02",
        ),
        ("lora_unet_label_emb_0_0", "unet", "add_embedding.linear_1", "BASE"),
        ("lora_unet_middle_block_0_in_layers_2", "unet", "mid_block.resnets.0.conv1", "MID"),
        ("lora_unet_down_blocks_0_downsamplers_0_conv", "unet", "down_blocks.0.downsamplers.0.conv", "IN03"),
        ("diffusion_model.out.2", "unet", "conv_out", "BASE"),
        (
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
            "text_encoder",
            "encoder.layers.0.self_attn.q_proj",
            "BASE",
        ),
        (
            "lora_te2_text_model_encoder_layers_0_self_attn_q_proj",
            "text_encoder_2",
            "encoder.layers.0.self_attn.q_proj",
            "BASE",
        ),
        (
            "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj",
            "text_encoder_2",
            "encoder.layers.0.self_attn.q_proj",
            "BASE",
        ),
    ],
)
def test_modules_of_the_large_model_are_found(raw, network, name, block, large):
    assert large.find(raw) == Place(network, name, block)


def test_what_is_not_there_is_not_found(large):
    for raw in ("", "lora_unet_", "lora_te3_text_model_final_layer_norm", "unet.conv_in.weight", "conv_inn"):
        assert large.find(raw) is None


def test_examples_are_named_alike(large):
    assert large.example("lora_te2_x").startswith("lora_")
    assert large.example("unet.down_blocks.9").startswith("unet.")


def test_the_tiny_model_is_a_target():
    target = tiny_target()
    assert set(target.shapes) == {"unet", "text_encoder"}
    assert target.shapes["text_encoder"]["embeddings.token_embedding.weight"][1] == 32


def test_shapes_are_those_that_the_network_wants(tmp_path):
    import numpy as np

    path = write_adapter(tmp_path / "all.safetensors", {"a": np.zeros((4, 3, 1, 1), np.float32)})
    stored = {"text_model.x.weight": Stored(path, "a", "matrix")}
    assert shapes_of(NetworkFiles("unet", {}, path, stored=stored)) == {"x.weight": (4, 3)}
    assert shapes_of(NetworkFiles("unet", {}, path)) == {"a": (4, 3, 1, 1)}
