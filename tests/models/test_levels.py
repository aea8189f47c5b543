"""What a configuration says of levels is looked at before anything counts with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from family_models import family_folder
from sfumato.errors import ModelFileError
from sfumato.models.controlnets import DEFAULTS
from sfumato.models.files import locate
from sfumato.models.levels import are_counts, fault_of_levels
from sfumato.models.load import find_model, load_bundle
from tiny_models import tiny_folder, tiny_settings

USUAL: dict[str, Any] = {
    "block_out_channels": [320, 640],
    "layers_per_block": [2, 1],
    "transformer_layers_per_block": [0, 10],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
}


def changed(place: Path, part: str, key: str, value: Any) -> Path:
    """Return a copy of the tiny model in which a part's configuration says something else."""
    folder = shutil.copytree(tiny_folder(), place / "model")
    path = folder / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    return folder


@pytest.mark.parametrize("config", [{}, USUAL, {"reverse_transformer_layers_per_block": None}, DEFAULTS])
def test_usual_levels_have_no_fault(config: dict[str, Any]) -> None:
    assert fault_of_levels(config) is None


@pytest.mark.parametrize("name", ["sdxl", "ssd-1b", "vega"])
def test_families_have_none(name: str) -> None:
    assert fault_of_levels(locate(family_folder(name)).unet.config) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_out_channels", "320"),
        ("block_out_channels", None),
        ("block_out_channels", []),
        ("block_out_channels", [320, True]),
        ("block_out_channels", [1] * 1000),
        ("layers_per_block", None),
        ("layers_per_block", 1.5),
        ("layers_per_block", 0),
        ("layers_per_block", 10**9),
        ("layers_per_block", [2, 10**9]),
        ("transformer_layers_per_block", 10**9),
        ("reverse_transformer_layers_per_block", [[10**9]]),
        ("down_block_types", None),
        ("up_block_types", 3),
        ("down_block_types", [3]),
    ],
)
def test_what_cannot_be_counted_with_is_named(key: str, value: Any, tmp_path: Path) -> None:
    assert fault_of_levels({**USUAL, key: value}) == f"holds no usable {key}"
    with pytest.raises(ModelFileError, match=f"unet/config.json holds no usable {key}"):
        find_model(str(changed(tmp_path, "unet", key, value)), tiny_settings())


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("text_encoder", "num_hidden_layers", 10**9),
        ("vae", "layers_per_block", 10**9),
        ("vae", "block_out_channels", [8] * 1000),
    ],
)
def test_no_network_is_built_of_more_layers_than_there_could_be(
    part: str, key: str, value: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match=f"{part}/config.json holds no usable {key}"):
        load_bundle(str(changed(tmp_path, part, key, value)), tiny_settings())


def test_levels_that_the_weights_have_not_are_said_to_be_missing(tmp_path: Path) -> None:
    folder = changed(tmp_path, "vae", "block_out_channels", [8] * 9)
    with pytest.raises(ModelFileError, match=r"vae/.*safetensors lacks .* tensors missing"):
        load_bundle(str(folder), tiny_settings())


@pytest.mark.parametrize("values", [[], None, 3, (1, 2), [True], [1, 0], [1, "2"], [1.0]])
def test_what_is_no_list_of_counts(values: object) -> None:
    assert not are_counts(values)
    assert are_counts([1, 2])
    assert are_counts([1, 0], 0)
