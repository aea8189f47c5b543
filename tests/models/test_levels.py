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
from sfumato.models.levels import fault_of_levels
from sfumato.models.load import find_model
from tiny_models import tiny_folder, tiny_settings

USUAL: dict[str, Any] = {
    "block_out_channels": [320, 640],
    "layers_per_block": [2, 1],
    "transformer_layers_per_block": [0, 10],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
}


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
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelFileError, match=f"unet/config.json holds no usable {key}"):
        find_model(str(folder), tiny_settings())
