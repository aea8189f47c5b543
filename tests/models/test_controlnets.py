"""ControlNet folders: found, checked, and compared with a model."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from sfumato.errors import ModelFileError, RecipeError, SfumatoError
from sfumato.models import controlnets
from sfumato.models.control_fit import check_fit, misfit
from sfumato.models.controlnets import (
    KEPT,
    Opened,
    find_controlnet,
    known_controlnets,
    locate_controlnet,
)
from sfumato.models.files import ModelFiles, locate
from sfumato.models.folders import find_folder
from tiny_controlnets import write_controlnet
from tiny_models import tiny_folder, tiny_settings
from tiny_t2i import LIGHT, SD, write_t2i

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("controlnets") / "controlnets" / "lines"
    write_controlnet(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "controlnets" / "lines"))


@pytest.fixture(scope="module")
def model() -> ModelFiles:
    return locate(tiny_folder())


def reconfigured(folder: Path, **changes: Any) -> Path:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return folder


def complaint(error: type[SfumatoError], folder: Path) -> str:
    with pytest.raises(error) as caught:
        locate_controlnet(folder)
    line = str(caught.value)
    assert line.startswith("control: ")
    assert "\n" not in line
    assert caught.value.hint is not None
    assert caught.value.exit_code == 2
    return line


def test_names_come_before_paths_and_paths_only_where_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings(folder.parents[1])
    assert known_controlnets(settings)["lines"] == folder
    assert find_controlnet("lines", settings).folder == folder
    assert find_controlnet(str(folder), tiny_settings()).folder == folder
    monkeypatch.chdir(folder.parent)
    assert find_controlnet("lines", tiny_settings()).folder == Path("lines")
    with pytest.raises(RecipeError, match=r'control: unknown ControlNet .* Did you mean "lines"'):
        find_controlnet("line", settings)
    with pytest.raises(RecipeError, match=r"control: unknown ControlNet .* Known: "):
        find_controlnet(str(folder), tiny_settings(), paths=False)
    for odd in ("", "a\0b", "x" * 5000):
        with pytest.raises(RecipeError, match="unknown ControlNet"):
            find_controlnet(odd, settings)


def test_the_data_folder_has_controlnets_too(folder: Path, tmp_path: Path) -> None:
    settings = replace(tiny_settings(), data_dir=tmp_path)
    assert find_controlnet("lines", settings).folder == folder


def test_a_whole_folder_is_found(made: Path, model: ModelFiles) -> None:
    files = locate_controlnet(made)
    assert files.network.weights == made / WEIGHTS
    assert files.network.config["cross_attention_dim"] == 32
    assert misfit(files, model) is None
    check_fit(files, model, "lines")


def test_half_precision_variants_are_found(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.fp16.safetensors")
    assert "fp16" in locate_controlnet(folder).network.weights.name


def test_the_digest_follows_what_decides_the_residuals(folder: Path, made: Path) -> None:
    original = locate_controlnet(made).digest()
    assert locate_controlnet(folder).digest() == original
    (folder / "README.md").write_text("a model card")
    assert locate_controlnet(folder).digest() == original
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    changed = locate_controlnet(folder).digest()
    assert changed != original
    reconfigured(folder, norm_eps=1e-6)
    assert locate_controlnet(folder).digest() not in (original, changed)


def test_files_that_are_missing_or_damaged_are_reported(folder: Path, tmp_path: Path) -> None:
    assert "is missing" in complaint(ModelFileError, tmp_path)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])
    assert "damaged or truncated" in complaint(ModelFileError, folder)
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")
    line = complaint(ModelFileError, folder)
    assert "pickle" in line
    assert "this model" not in line
    (folder / "config.json").write_text("{")
    assert "not readable JSON" in complaint(ModelFileError, folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "does not name ControlNetModel"),
        ({"global_pool_conditions": True}, "has global_pool_conditions True"),
        ({"_class_name": "ControlNetUnionModel"}, "is a ControlNet Union, one network for several kinds"),
        ({"num_control_type": 6}, "is a ControlNet Union, one network for several kinds"),
        ({"class_embed_type": "timestep"}, "has class_embed_type 'timestep'"),
        ({"addition_embed_type": "image"}, "has addition_embed_type 'image'"),
        ({"conditioning_channels": 4}, "has conditioning_channels 4"),
        ({"block_out_channels": "1632"}, "no usable block_out_channels"),
        ({"layers_per_block": None}, "no usable layers_per_block"),
        ({"layers_per_block": 10**12}, "no usable layers_per_block"),
        ({"conditioning_embedding_out_channels": []}, "no usable conditioning_embedding_out_channels"),
    ],
)
def test_kinds_that_are_not_supported_are_refused(folder: Path, changes: dict[str, Any], words: str) -> None:
    assert words in complaint(ModelFileError, reconfigured(folder, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adapter_type": "style"}, "has adapter_type 'style', which is not supported"),
        ({"adapter_type": []}, "has adapter_type [], which is not supported"),
        ({"channels": []}, "has channels [], which is not supported"),
        ({"in_channels": 4}, "has in_channels 4, which is not supported"),
        ({"downscale_factor": True}, "has downscale_factor True, which is not supported"),
        ({"num_res_blocks": 0}, "has num_res_blocks 0, which is not supported"),
        ({"num_res_blocks": 10**12}, "has num_res_blocks 1000000000000, which is not supported"),
        ({"channels": [8] * 100_000}, "..., which is not supported"),
        (
            {"num_res_blocks": 3},
            "does not fit its config.json: it lacks adapter.body.0.resnets.2",
        ),
        ({"channels": [16, 32, 64, 65]}, "does not fit its config.json: it lacks adapter.body.3.in_conv"),
        ({"in_channels": 1}, "its adapter.conv_in.weight is 16x192x3x3, not 16x64x3x3"),
    ],
)
def test_adapters_whose_configuration_is_wrong_are_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    write_t2i(tmp_path, SD)
    assert words in complaint(ModelFileError, reconfigured(tmp_path, **changes))


def test_an_adapter_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    write_t2i(tmp_path / "grey", SD, in_channels=1)
    write_t2i(tmp_path / "light", LIGHT)
    grey, light = (locate_controlnet(tmp_path / name) for name in ("grey", "light"))
    assert (grey.kind, grey.hint_channels, grey.num_features) == ("T2I-Adapter", 1, 4)
    assert (light.kind, light.hint_channels, light.num_features) == ("T2I-Adapter", 3, 4)
    write_controlnet(tmp_path / "lines")
    lines = locate_controlnet(tmp_path / "lines")
    assert (lines.kind, lines.hint_channels, lines.num_features) == ("ControlNet", 3, 0)


def test_the_digest_of_a_single_file_is_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net: Any = write_t2i(tmp_path / "lines", SD)
    path = tmp_path / "lines.safetensors"
    save_file({key: one.clone() for key, one in net.state_dict().items()}, path)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert locate_controlnet(path).digest() == expected
    settings = replace(tiny_settings(), data_dir=tmp_path / "data")
    monkeypatch.setattr(controlnets, "_LARGE", 1)
    found = find_controlnet(str(path), settings)
    assert found.digests == {path: expected}
    assert found.digest() == expected
    assert list((tmp_path / "data").rglob("*.json"))  # remembered
    folder = find_controlnet(str(tmp_path / "lines"), settings)
    assert folder.digest() == locate_controlnet(tmp_path / "lines").digest()


def test_a_single_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "depth.safetensors"
    net = write_controlnet(
        tmp_path / "lines",
        conditioning_channels=4,
        attention_head_dim=8,
        conditioning_embedding_out_channels=(4, 8, 8, 16),
    )
    save_file({key: one.clone() for key, one in net.state_dict().items()}, path)
    assert "has conditioning_channels 4, which is not supported" in complaint(ModelFileError, path)


def test_the_last_few_stay_open(made: Path, tmp_path: Path) -> None:
    opened: Opened[str] = Opened()
    loads: list[str] = []

    def load(name: str) -> str:
        loads.append(name)
        return name

    folders = [shutil.copytree(made, tmp_path / str(number)) for number in range(KEPT + 1)]
    files = [locate_controlnet(reconfigured(one, extra=one.name)) for one in folders]
    for one in (*files[:KEPT], files[0], files[KEPT], files[0], files[1]):
        opened.get(one, lambda one=one: load(one.folder.name))
    names = [str(number) for number in range(KEPT + 1)]
    assert loads == [*names, "1"]  # number 1 made room for the last one
    assert set(opened.all()) == {*names} - {"2"}
    assert opened.num_bytes == KEPT * files[0].network.num_bytes
    opened.clear()
    assert (opened.all(), opened.num_bytes) == ((), 0)


def test_the_one_that_ships_fits_the_model_that_ships_and_is_small() -> None:
    files = find_controlnet("edges", tiny_settings(), paths=False)
    model = locate(find_folder("bundled", tiny_settings()))
    assert misfit(files, model) is None
    assert {path.suffix for path in files.folder.iterdir()} == {".json", ".md", ".safetensors"}
    assert sum(path.stat().st_size for path in files.folder.iterdir()) <= 10_000_000
    with safe_open(files.network.weights, "np") as file:
        names = list(file.keys())
        assert {file.get_slice(name).get_dtype() for name in names} == {"F16"}
        assert all(np.isfinite(file.get_tensor(name)).all() for name in names)
        assert file.get_tensor("controlnet_mid_block.weight").any()  # it has learnt something


def test_the_one_that_ships_cannot_be_replaced(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "edges")
    known = known_controlnets(tiny_settings(folder.parents[1]))
    assert next(iter(known)) == "edges"
    assert known["edges"] != folder.parent / "edges"
