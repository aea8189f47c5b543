"""Autoencoders read from their shapes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from sfumato.errors import ModelFileError
from sfumato.models.original.parts import Shape, Source
from sfumato.models.original.vae import VaeStructure, vae_of, vae_stored
from sfumato.models.safetensors_header import Header
from tiny_families import convolved, vae_name

PATH = Path("vae.safetensors")


def source(levels: int = 4, changes: dict[str, Shape | None] | None = None, **config: Any) -> Source:
    """Return a published autoencoder of so many levels, with some shapes changed."""
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=(128, 256, 512, 512)[:levels],
            layers_per_block=2,
            **config,
        )
        found = {
            vae_name(key, levels): tuple(convolved(key, one).shape) for key, one in vae.state_dict().items()
        }
    shapes = {key: shape for key, shape in {**found, **(changes or {})}.items() if shape is not None}
    return Source(PATH, "first_stage_model.", shapes, Header({}, {}, 0, 0))


@pytest.mark.parametrize(("levels", "latents"), [(4, 4), (3, 4), (4, 16)])
def test_published_ones_are_derived(levels: int, latents: int) -> None:
    found = source(levels, latent_channels=latents)
    structure = vae_of(found)
    assert structure == VaeStructure((128, 256, 512, 512)[:levels], 2, latents, 3)
    with torch.device("meta"):
        built = AutoencoderKL.from_config(structure.config())
    stored = vae_stored(found, structure)
    assert stored.keys() == built.state_dict().keys()
    assert {one.key for one in stored.values()} == {f"first_stage_model.{key}" for key in found.shapes}
    matrices = [name for name, one in stored.items() if one.change == "matrix"]
    assert len(matrices) == 8


def test_attention_that_is_matrices_already_stays() -> None:
    changes: dict[str, Shape | None] = {"encoder.mid.attn_1.q.weight": (512, 512)}
    stored = vae_stored(source(changes=changes), VaeStructure((128, 256, 512, 512), 2, 4, 3))
    assert stored["encoder.mid_block.attentions.0.to_q.weight"].change is None
    assert stored["encoder.mid_block.attentions.0.to_k.weight"].change == "matrix"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder.down.0.block.0.conv1.weight": None}, "no residual blocks"),
        ({"encoder.down.1.block.1.conv1.weight": None}, r"\[2, 1, 2, 2\] residual blocks"),
        ({"decoder.up.1.block.0.conv2.weight": (64, 64, 3, 3)}, "256 channels on the way down and 64 up"),
        ({"quant_conv.weight": None}, r"it has no first_stage_model\.quant_conv\.weight"),
        ({"quant_conv.weight": (4,)}, r"its first_stage_model\.quant_conv\.weight is 4"),
        ({"post_quant_conv.weight": (8, 8, 1, 1)}, "disagrees with itself on latents"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Shape | None], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        vae_of(source(changes=changes, latent_channels=4))
