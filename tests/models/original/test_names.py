"""Names of tensors in original files and in diffusers folders."""

import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel

from sfumato.models.original.names import (
    PACKED,
    VAE_MATRICES,
    inverse,
    open_clip_modules,
    rename,
    vae_modules,
)


def test_the_longest_module_decides_and_strangers_are_left_out() -> None:
    modules = {"a": "x", "a.b": "y"}
    assert rename(["a.weight", "a.b.weight", "a.bc.bias", "b.weight"], modules) == {
        "a.weight": "x.weight",
        "a.b.weight": "y.weight",
        "a.bc.bias": "x.bc.bias",
    }


def test_a_map_can_be_turned_when_names_are_different() -> None:
    assert inverse({"a": "x", "b": "y"}) == {"x": "a", "y": "b"}
    with pytest.raises(ValueError, match="the same name"):
        inverse({"a": "x", "b": "x"})


@pytest.mark.parametrize(("levels", "parameters"), [(4, 83_653_863), (3, 55_325_927)])
def test_every_tensor_of_an_autoencoder_has_a_name(levels: int, parameters: int) -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512)[:levels],
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=2,
            latent_channels=4,
        )
    tensors = {name: tuple(value.shape) for name, value in vae.state_dict().items()}
    assert sum(value.numel() for value in vae.parameters()) == parameters
    modules = vae_modules(levels, 2)
    names = rename(tensors, modules)
    assert names.keys() == tensors.keys()
    assert rename(names.values(), inverse(modules)) == {theirs: ours for ours, theirs in names.items()}
    found = {names[name]: shape for name, shape in tensors.items()}
    # As published files have them.
    assert found["encoder.down.1.block.0.nin_shortcut.weight"] == (256, 128, 1, 1)
    assert found[f"decoder.up.{levels - 1}.upsample.conv.weight"] == (512, 512, 3, 3)
    assert found["decoder.up.0.block.2.conv2.weight"] == (128, 128, 3, 3)
    assert found["encoder.mid.attn_1.q.weight"] == (512, 512)  # there (512, 512, 1, 1)
    matrices = [name for name in tensors if name.endswith(tuple(VAE_MATRICES))]
    assert len(matrices) == 8


def test_every_tensor_of_a_text_encoder_has_a_name_but_what_is_packed() -> None:
    config = CLIPTextConfig(
        vocab_size=50, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    tensors = [name.removeprefix("text_model.") for name in CLIPTextModel(config).state_dict()]
    names = rename(tensors, open_clip_modules(2))
    left = [name for name in tensors if name not in names]
    assert all(any(part in name for part in PACKED) or "position" in name for name in left)
    assert len([name for name in left if "position" not in name]) == 2 * 3 * 2
    assert names["encoder.layers.1.mlp.fc1.weight"] == "transformer.resblocks.1.mlp.c_fc.weight"
    assert names["final_layer_norm.bias"] == "ln_final.bias"
