"""Stable Diffusion 1.5's architecture with a few thousandths of its weights."""

from sfumato.evaluation.speed.sd15 import SD15, Architecture

TINY = Architecture(
    name="tiny",
    unet={
        **SD15.unet,
        "block_out_channels": [32, 64, 64, 64],
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "norm_num_groups": 8,
    },
    vae={**SD15.vae, "block_out_channels": [16, 16, 32, 32], "layers_per_block": 1, "norm_num_groups": 8},
    text_encoder={
        **SD15.text_encoder,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "projection_dim": 32,
        "vocab_size": 1000,
    },
    side=64,
    tokens=77,
)
