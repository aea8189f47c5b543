"""Whether ControlNets and T2I-Adapters fit a model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from family_models import family_folder
from sfumato.errors import RecipeError
from sfumato.models.control_fit import check_fit, misfit
from sfumato.models.controlnets import ControlFiles, locate_controlnet
from sfumato.models.files import ModelFiles, locate
from sfumato.models.joint_files import TRANSFORMER
from tiny_controlnets import write_controlnet
from tiny_models import tiny_folder
from tiny_t2i import LIGHT, SD, XL, original_t2i, write_t2i


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_controlnet(tmp_path / "lines")
    return tmp_path / "lines"


@pytest.fixture(scope="module")
def model() -> ModelFiles:
    return locate(tiny_folder())


def reconfigured(folder: Path, **changes: Any) -> Path:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"in_channels": 8}, "takes latents of 8 channels, not 4"),
        ({"block_out_channels": [16, 64]}, "its levels have 16, 64 channels, not 16, 32"),
        ({"layers_per_block": 2}, "its levels have 2, 2 layers, not 1, 1"),
        ({"cross_attention_dim": 24}, "attends to texts of 24 numbers, not 32"),
        ({"addition_embed_type": "text_time"}, "is told text_time beside the text, not nothing"),
        (
            {"conditioning_embedding_out_channels": [4, 8, 16]},
            "makes hints 4 times smaller, and the autoencoder pictures 8 times",
        ),
    ],
)
def test_a_controlnet_of_another_family_does_not_fit(
    folder: Path, model: ModelFiles, changes: dict[str, Any], words: str
) -> None:
    files = locate_controlnet(reconfigured(folder, **changes))
    with pytest.raises(RecipeError) as caught:
        check_fit(files, model, "lines")
    line = str(caught.value)
    assert words in line
    assert line.startswith("control: this ControlNet does not fit the model: ")
    assert caught.value.value == "lines"


def test_a_unet_for_inpainting_takes_the_same_controlnets(folder: Path, model: ModelFiles) -> None:
    unet = replace(model.unet, config={**model.unet.config, "in_channels": 9})
    assert misfit(locate_controlnet(folder), replace(model, unet=unet)) is None


def test_sizes_have_to_be_told_the_same_way(folder: Path, model: ModelFiles) -> None:
    def told(width: int) -> dict[str, Any]:
        return {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": width,
        }

    found = locate_controlnet(folder)
    network = replace(found.network, config={**found.network.config, **told(64)})
    unet = replace(model.unet, config={**model.unet.config, **told(64)})
    assert misfit(ControlFiles(folder, network), replace(model, unet=unet)) is None
    other = replace(unet, config={**unet.config, **told(80)})
    words = "its projection_class_embeddings_input_dim is 64, not 80"
    assert misfit(ControlFiles(folder, network), replace(model, unet=other)) == words


@pytest.mark.parametrize(
    ("family", "config"), [("sd", SD), ("sd", LIGHT), ("small-sd", SD), ("sdxl", XL), ("ssd-1b", XL)]
)
def test_adapters_fit_the_families_they_are_for(family: str, config: dict[str, Any], tmp_path: Path) -> None:
    write_t2i(tmp_path, config)
    assert misfit(locate_controlnet(tmp_path), locate(family_folder(family))) is None


@pytest.mark.parametrize(
    ("family", "config", "words"),
    [
        ("sdxl", SD, "its features have 16, 32, 64, 64 channels, not 20, 40, 80, 80"),
        ("sd", XL, "its features have 20, 40, 80, 80 channels, not 16, 32, 64, 64"),
        ("tiny-sd", SD, "it makes 4 features, and the model takes 3"),
        (
            "sdxl",
            {**SD, "channels": XL["channels"]},
            "its features are 8, 16, 32, 64 times smaller than the picture, not 16, 16, 32, 32",
        ),
        ("sd", {**SD, "channels": [16, 32]}, "it makes 2 features, and the model takes 4"),
    ],
)
def test_an_adapter_of_another_family_does_not_fit(
    family: str, config: dict[str, Any], words: str, tmp_path: Path
) -> None:
    write_t2i(tmp_path, config)
    with pytest.raises(RecipeError) as caught:
        check_fit(locate_controlnet(tmp_path), locate(family_folder(family)), "lines")
    assert str(caught.value).startswith(f"control: this T2I-Adapter does not fit the model: {words}")
    assert caught.value.value == "lines"
    assert caught.value.hint is not None


def test_a_single_file_fits_as_its_folder_does(tmp_path: Path) -> None:
    net: Any = write_t2i(tmp_path / "lines", SD)
    path = tmp_path / "lines.safetensors"
    save_file({key: one.clone() for key, one in original_t2i(net.state_dict(), 2).items()}, path)
    assert misfit(locate_controlnet(path), locate(family_folder("sd"))) is None


def test_nothing_steers_a_transformer(folder: Path, model: ModelFiles, tmp_path: Path) -> None:
    write_t2i(tmp_path / "t2i", SD)
    other = replace(model, unet=replace(model.unet, class_name=TRANSFORMER))
    for path in (folder, tmp_path / "t2i"):
        words = "it steers UNets, and the model is a transformer (Stable Diffusion 3)"
        assert misfit(locate_controlnet(path), other) == words
