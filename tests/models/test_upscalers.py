"""Upscaling without torch: tiles that leave no trace, folders that are checked, and what ships."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.imaging.resize import lanczos
from sfumato.models.esrgan import EsrganShape
from sfumato.models.upscaler_net import load_upscaler_net
from sfumato.models.upscalers import (
    WEIGHTS,
    Upscaler,
    UpscalerShape,
    Upscaling,
    _largest_tile,
    bundled_upscaler,
    factor_of,
    load_upscaler,
    locate_upscaler,
    tiling_of,
    upscale,
    upscaler_facts,
)
from tiny_esrgan import tiny_esrgan, write_esrgan
from tiny_upscaler import SHAPE, waves, write_upscaler

MAX_BYTES = 2_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_upscaler(tmp_path_factory.mktemp("upscaler"))


@pytest.fixture(scope="module")
def upscaler(folder: Path) -> Upscaler:
    return load_upscaler(folder)


def levels(picture: Image.Image | None) -> Any:
    assert picture is not None
    return np.asarray(picture).astype(int)


def last(reports: Any) -> Upscaling:
    *_, end = reports
    return end


def test_one_tile_is_what_torch_makes(folder: Path, upscaler: Upscaler) -> None:
    small = waves(17, 12)
    reports = list(upscaler.enlarge(small))
    assert [(report.finished, report.total) for report in reports] == [(1, 1)]
    pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = ((load_upscaler_net(folder)(pixels)[0] + 1) * 127.5).clamp(0, 255).permute(1, 2, 0)
    larger = levels(reports[0].picture)
    assert larger.shape == (48, 68, 3)
    assert np.abs(larger - expected.numpy()).max() < 0.51


@pytest.mark.parametrize("largest", [20, 24, 37])
def test_tiles_leave_no_trace(upscaler: Upscaler, largest: int) -> None:
    small = waves(70, 45)
    whole = levels(last(upscaler.enlarge(small)).picture)
    reports = list(upscaler.enlarge(small, largest))
    assert len(reports) == reports[-1].total > 4
    assert [report.finished for report in reports] == list(range(1, len(reports) + 1))
    assert [report.picture is None for report in reports] == [True] * (len(reports) - 1) + [False]
    assert np.abs(levels(reports[-1].picture) - whole).max() <= 1


def test_tiles_are_as_few_as_can_be_and_no_larger_than_that_needs() -> None:
    tiling = tiling_of(512, 128, 19)
    assert (tiling.tops, tiling.lefts) == ((0, 118, 237, 355), (0,))
    assert (tiling.tile_height, tiling.tile_width) == (157, 128)
    assert tiling_of(192, 192, 19).tiles() == tiling_of(192, 192, 19, 300).tiles()
    with pytest.raises(ValueError, match="no tiles"):
        tiling_of(100, 100, 19, 38)


@pytest.mark.parametrize("size", [(68, 48), (34, 24), (100, 90), (17, 12)])
def test_the_rest_of_the_way_is_lanczos(upscaler: Upscaler, size: tuple[int, int]) -> None:
    small = waves(17, 12)
    larger = last(upscaler.enlarge(small)).picture
    assert larger is not None
    assert np.array_equal(
        levels(last(upscale(small, *size, upscaler)).picture), levels(lanczos(larger, *size))
    )


def test_without_a_network_lanczos_does_all_of_it() -> None:
    (report,) = upscale(waves(17, 12), 40, 30, None)
    assert (report.finished, report.total) == (1, 1)
    assert np.array_equal(levels(report.picture), levels(lanczos(waves(17, 12), 40, 30)))


def test_the_smallest_picture_there_is(upscaler: Upscaler) -> None:
    assert levels(last(upscale(Image.new("RGB", (1, 1)), 4, 4, upscaler)).picture).shape == (4, 4, 3)


def test_facts_are_what_training_wrote(folder: Path) -> None:
    assert upscaler_facts(folder) == {"psnr": {"area": {"learned": 31.5, "lanczos": 28.0}}}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("no config", "config.json is missing"),
        ("config", "does not name SfumatoUpscaler of factor 4"),
        ("factor", "does not name SfumatoUpscaler of factor 4"),
        ("width", "holds no usable width (True)"),
        ("blocks", "holds no usable blocks (41)"),
        ("no weights", "upscaler.safetensors is missing"),
        ("truncated", "is damaged or truncated"),
        ("empty", "holds no tensors"),
    ],
)
def test_a_damaged_folder_is_one_line(folder: Path, tmp_path: Path, damage: str, said: str) -> None:
    here = shutil.copytree(folder, tmp_path / "copy")
    config, weights = here / "config.json", here / WEIGHTS
    changes: dict[str, Any] = {"config": {"_class_name": "UNet2DConditionModel"}, "factor": {"factor": 2}}
    changes |= {"width": {"width": True}, "blocks": {"blocks": 41}}
    if damage in changes:
        config.write_text(json.dumps({**json.loads(config.read_text()), **changes[damage]}))
    elif damage == "no config":
        config.unlink()
    elif damage == "no weights":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-9])
    else:
        save_file({}, weights)
    with pytest.raises(ModelFileError) as caught:
        load_upscaler(here)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["lacks", "unknown", "shape"])
def test_weights_that_do_not_fit_are_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    here = shutil.copytree(folder, tmp_path / "copy")
    tensors = load_file(here / WEIGHTS)
    if damage == "lacks":
        del tensors["merge.bias"]
    elif damage == "unknown":
        tensors["norm.weight"] = np.zeros(3, np.float16)
    else:
        tensors["merge.weight"] = np.zeros((8, 9, 3, 3), np.float16)
    save_file(tensors, here / WEIGHTS)
    with pytest.raises(ModelFileError, match=r"upscaler\.safetensors") as caught:
        list(load_upscaler(here).enlarge(waves(9, 9)))
    assert "\n" not in str(caught.value)


def test_weights_that_tell_nothing_are_one_line(folder: Path, tmp_path: Path) -> None:
    here = shutil.copytree(folder, tmp_path / "copy")
    save_file(load_file(here / WEIGHTS), here / WEIGHTS)
    with pytest.raises(ModelFileError, match="does not say how good it is"):
        upscaler_facts(here)


def test_the_reach_counts_the_convolutions() -> None:
    assert SHAPE.reach == 7
    assert UpscalerShape.of(SHAPE.config()) == SHAPE


def test_what_ships_is_small_and_better_than_lanczos() -> None:
    files = sorted(bundled_upscaler().iterdir())
    assert [path.name for path in files] == ["config.json", WEIGHTS]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    tensors = load_file(locate_upscaler(bundled_upscaler()).weights)
    assert {value.dtype for value in tensors.values()} == {np.dtype(np.float16)}
    rows = upscaler_facts(bundled_upscaler())["psnr"]
    for kind in ("area", "lanczos", "plain"):
        assert rows[kind]["learned"] >= rows[kind]["lanczos"] + 2


def test_what_ships_leaves_no_seams() -> None:
    upscaler = load_upscaler()
    small = waves(120, 90)
    whole = levels(last(upscaler.enlarge(small)).picture)
    assert np.abs(levels(last(upscaler.enlarge(small, 70)).picture) - whole).max() <= 1


def test_what_ships_keeps_even_colours_even() -> None:
    even = Image.new("RGB", (40, 40), (52, 116, 200))
    larger = levels(last(load_upscaler().enlarge(even)).picture)
    assert np.abs(larger[64:96, 64:96] - (52, 116, 200)).max() <= 2


@pytest.mark.parametrize(("doublings", "fold"), [(2, 1), (3, 1), (0, 1), (2, 2), (2, 4)])
def test_an_esrgan_file_makes_what_torch_makes(doublings: int, fold: int, tmp_path: Path) -> None:
    net = tiny_esrgan(1, doublings, fold)
    path = write_esrgan(tmp_path / "net.safetensors", net)
    small = waves(17, 10)  # no multiples of 4
    larger = levels(last(load_upscaler(path).enlarge(small)).picture)
    factor = factor_of(path)
    assert larger.shape == (10 * factor, 17 * factor, 3)
    padded = np.pad(np.array(small), ((0, -10 % fold), (0, -17 % fold), (0, 0)), mode="edge")
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    expected = (net(pixels)[0] * 255).clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(larger - expected[: 10 * factor, : 17 * factor]).max() < 0.51
    assert np.ptp(expected) > 40


@pytest.mark.parametrize("fold", [1, 2])
def test_esrgan_tiles_leave_no_trace(fold: int, tmp_path: Path) -> None:
    upscaler = load_upscaler(write_esrgan(tmp_path / "net.safetensors", tiny_esrgan(1, 2, fold)))
    small = waves(95 * fold, 70 * fold - 1)
    (whole,) = upscaler.enlarge(small, 200)
    reports = list(upscaler.enlarge(small, 48))
    assert len(reports) == reports[-1].total > 4
    assert np.abs(levels(reports[-1].picture) - levels(whole.picture)).max() <= 1


def test_tiles_of_an_esrgan_network_shrink_with_what_its_layers_take(tmp_path: Path) -> None:
    sides = [
        load_upscaler(
            write_esrgan(tmp_path / f"{doublings}.safetensors", tiny_esrgan(1, doublings))
        ).largest_tile
        for doublings in (1, 2, 3)
    ]
    assert sides == [256, 256, 209]
    assert _largest_tile(EsrganShape(64, 32, 23, 2, 1)) == 128


def test_the_factor_of_what_sfumato_trains_is_four(folder: Path) -> None:
    assert factor_of(None) == factor_of(folder) == 4
