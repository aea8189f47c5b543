"""Families that are written and loaded again: some rows of what `python tests/family_layouts.py` prints."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_families as tiny
from family_layouts import checked, table
from full_size_families import FULL, PUBLISHED, counts
from sfumato.models.families import FAMILIES
from written_families import differing, write_layout


@pytest.mark.parametrize(
    ("family", "layout"),
    [
        ("sd15", "file fp8"),
        ("sdxl", "sharded"),
        ("sdxl-pix2pix", "folder"),
        ("sdxl-refiner", "file fp32"),
        ("koala-700m", "file bf16"),
        ("bk-sdm-v2-small", "file fp16"),
        ("x4-upscaler", "fp16 variant"),
    ],
)
def test_every_tensor_is_loaded_as_it_was_written(family: str, layout: str, tmp_path: Path) -> None:
    row = checked(family, layout, at_full_size=False, where=tmp_path)
    assert row["differing"] == []
    assert row["tensors"] > 600
    assert f"| {family} |" in table([row])
    assert not list(tmp_path.iterdir())
    assert json.dumps(row)


@pytest.mark.parametrize("layout", ["file fp16", "folder"])
def test_two_tensors_that_changed_places_are_found(layout: str, tmp_path: Path) -> None:
    family = tiny.FAMILIES["tiny-sd"]
    model = write_layout(layout, family, tiny.networks_at(family), tmp_path)
    assert differing(layout, family, model)[1] == ()
    path = model if layout == "file fp16" else model / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    first, second = (next(key for key in tensors if key.endswith(f"attn1.to_{one}.weight")) for one in "qv")
    assert not torch.equal(tensors[first], tensors[second])
    kept = tmp_path / "kept.safetensors"
    path.rename(kept)
    save_file({**tensors, first: tensors[second], second: tensors[first]}, path)
    assert set(differing(layout, family, model, {path: kept})[1]) == (
        {first, second} if path == model else {f"unet {first}", f"unet {second}"}
    )


def test_parameters_are_those_of_the_table_of_families() -> None:
    known = {one.name: one.parameters for one in FAMILIES}
    names = {"sd15": "sd1", "sd2-base": "sd2", "sd2-768-v": "sd2"}
    plain = [name for name in PUBLISHED if names.get(name, name) in known]
    assert {names.get(name, name) for name in plain} == known.keys()
    assert all(PUBLISHED[name] == known[names.get(name, name)] for name in plain)
    mask, picture, guidance = 5 * 320 * 9, 4 * 320 * 9, 256 * 320
    assert PUBLISHED["sdxl-inpainting"] - PUBLISHED["sdxl"] == mask
    assert PUBLISHED["sd15-pix2pix"] - PUBLISHED["sd15"] == picture
    assert PUBLISHED["lcm-ssd-1b"] - PUBLISHED["ssd-1b"] == guidance
    assert PUBLISHED.keys() == FULL.keys() == tiny.FAMILIES.keys()
    assert sum(counts("sdxl-refiner").values()) == 2_259_526_660 + 83_653_863 + 694_659_840
