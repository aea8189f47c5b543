"""From diffusers' names to those of the original layout."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from sfumato.errors import ModelFileError
from sfumato.models.original.single import PROJECTING, UNET, VAE
from sfumato.models.original.structure import Level, structure_of
from sfumato.models.original.writing import (
    changed_back,
    diffusers_structure,
    text_places,
    text_targets,
    unet_targets,
    vae_targets,
)
from tiny_families import FAMILIES, N, X, convolved, unet_name, vae_name

PATH = Path("w.safetensors")
Shapes = dict[str, tuple[int, ...]]


def unet(name: str) -> Shapes:
    tiny = FAMILIES[name]
    kinds = {X: "CrossAttn", N: ""}
    config: dict[str, Any] = {
        **tiny.unet,
        "down_block_types": [f"{kinds[one]}DownBlock2D" for one in tiny.levels],
        "up_block_types": [f"{kinds[one]}UpBlock2D" for one in tiny.levels[::-1]],
    }
    with torch.device("meta"):
        state = UNet2DConditionModel.from_config(config).state_dict()
    return {key: tuple(one.shape) for key, one in state.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_names_are_those_that_arithmetic_finds(name: str) -> None:
    tiny, shapes = FAMILIES[name], unet(name)
    found = {target.sources[0]: target.name for target in unet_targets(shapes, PATH)}
    layers = tiny.unet.get("layers_per_block", 2)
    assert found == {key: UNET + unet_name(key, layers, tiny.levels) for key in shapes}
    written = {found[key].removeprefix(UNET): shape for key, shape in shapes.items()}
    # What the original layout shows beyond it is where the attention of a level looks.
    assert replace(structure_of(written, PATH), crossing=()) == replace(
        diffusers_structure(shapes), crossing=()
    )


@pytest.mark.parametrize("levels", [3, 4])
def test_an_autoencoder_has_convolutions_for_matrices(levels: int) -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=(32, 32, 64, 64)[:levels],
            layers_per_block=2,
        ).state_dict()
    shapes = {key: tuple(one.shape) for key, one in vae.items()}
    targets = vae_targets(shapes, PATH)
    assert {one.sources[0]: one.name for one in targets} == {
        key: VAE + vae_name(key, levels) for key in shapes
    }
    for one in targets:
        assert (
            changed_back(shapes[one.sources[0]], one.back)
            == convolved(one.sources[0], vae[one.sources[0]]).shape
        )


def test_strangers_have_no_place() -> None:
    shapes = {**unet("tiny-sd"), "new.weight": (1,)}
    with pytest.raises(ModelFileError, match=r"it has 1 tensors of no known place, the first new\.weight"):
        unet_targets(shapes, PATH)
    with pytest.raises(ModelFileError, match="1 tensors of no known place"):
        text_targets({"odd": (1,), "embeddings.position_embedding.weight": (1, 1)}, PATH, "", packed=True)


def test_text_encoders_have_their_places() -> None:
    first, second, large = (diffusers_structure(unet(name)) for name in ("sd15", "sd2-base", "sdxl"))
    assert text_places(first, ("CLIPTextModel",)) == (("cond_stage_model.transformer.", False),)
    assert text_places(second, ("CLIPTextModel",)) == (("cond_stage_model.model.", True),)
    assert text_places(large, ("CLIPTextModel", PROJECTING)) == (
        ("conditioner.embedders.0.transformer.", False),
        ("conditioner.embedders.1.model.", True),
    )
    assert text_places(large, (PROJECTING,)) == (("conditioner.embedders.0.model.", True),)


def test_levels_are_counted() -> None:
    found = diffusers_structure(unet("ssd-1b"))
    assert found.levels[1] == Level(64, (2, 2), (2, 1, 1))
    assert found.levels[2] == Level(128, (4, 4), (4, 4, 5))
    assert found.middle == 0
    assert diffusers_structure(unet("tiny-sd")).middle is None
    assert diffusers_structure({}).levels == ()
