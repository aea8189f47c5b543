"""What a single file is told beside its weights; how it is read again is in `test_converting`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfumato.models.files import ModelFiles, locate
from sfumato.models.tensor_file import TensorFile
from sfumato.models.unsaid import sidecar_for
from tiny_families import FAMILIES, write_family, write_original


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    place = tmp_path_factory.mktemp("unsaid")
    tiny = FAMILIES["tiny-sd"]
    return locate(write_original(write_family(place / "a", tiny), place / "a.safetensors", tiny))


def said(files: ModelFiles, **changes: Any) -> Any:
    tensors = TensorFile(files.folder).tensors
    known = {name: (one.dtype, one.shape) for name, one in tensors.items() if "ids" not in name}
    return sidecar_for(replace(files, **changes), Path("b.safetensors"), known)


def test_an_ordinary_model_needs_nothing_beside_it(files: ModelFiles) -> None:
    found = said(files)
    assert not found.sidecar
    assert found.marks == ()
    assert found.notes["modelspec.architecture"] == "stable-diffusion-v1"
    assert found.notes["modelspec.prediction_type"] == "epsilon"
    assert found.notes["modelspec.resolution"] == "512x512"


def test_velocity_and_zero_snr_are_marks(files: ModelFiles) -> None:
    scheduler = {**files.scheduler, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    found = said(files, scheduler={**scheduler, "timestep_spacing": "trailing"})
    assert found.marks == ("v_pred", "ztsnr")
    assert found.notes["modelspec.prediction_type"] == "v"
    assert not found.sidecar


def test_what_has_no_mark_is_in_the_sidecar(files: ModelFiles) -> None:
    unet = replace(
        files.unet, config={**files.unet.config, "norm_eps": 1e-6, "attention_head_dim": [8, 8, 8]}
    )
    scheduler = {**files.scheduler, "prediction_type": "sample", "_class_name": "DDIMScheduler"}
    found = said(files, unet=unet, scheduler=scheduler, defaults={"steps": 4})
    assert found.sidecar == {
        "steps": 4,
        "prediction_type": "sample",
        "unet": {"norm_eps": 1e-6},
        "scheduler": {"_class_name": "DDIMScheduler"},
    }
