"""What a file says of its training."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.models.original.says import Says, said_beside, said_by
from sfumato.models.safetensors_header import read_header

V, EPSILON = "v_prediction", "epsilon"
MARK = {"v_pred": torch.zeros(0)}


@pytest.mark.parametrize(
    ("notes", "tensors", "expected"),
    [
        ({}, {}, Says()),
        ({"modelspec.prediction_type": "v"}, {}, Says(V)),
        ({"modelspec.prediction_type": "Epsilon"}, {}, Says(EPSILON)),
        ({"modelspec.prediction_type": "epsilon"}, MARK, Says(V)),
        ({"modelspec.prediction_type": "nonsense"}, {}, Says()),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v"}, {}, Says(V)),
        ({"modelspec.architecture": "stable-diffusion-v2-512"}, {}, Says(EPSILON)),
        ({"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, {}, Says(V, zero_snr=True)),
        ({"ss_v_parameterization": "False"}, {"ztsnr": torch.zeros(1)}, Says(None, zero_snr=True)),
        ({}, {"global_step": torch.tensor(875_000)}, Says(EPSILON)),
        ({}, {"global_step": torch.tensor(875_000.0)}, Says(EPSILON)),
        ({}, {"global_step": torch.tensor(140_000)}, Says()),
        ({}, {"global_step": torch.zeros(4)}, Says()),
        ({"modelspec.resolution": "768x768"}, {}, Says(side=768)),
        ({"modelspec.resolution": "1024"}, {}, Says(side=1024)),
        ({"modelspec.resolution": "1024x576"}, {}, Says()),
        ({"modelspec.resolution": "0x0"}, {}, Says()),
        ({"modelspec.resolution": "9" * 5000}, {}, Says()),
        ({"modelspec.resolution": "big"}, {}, Says()),
    ],
)
def test_notes_and_marks(
    notes: dict[str, str], tensors: dict[str, torch.Tensor], expected: Says, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1), **tensors}, path, notes or None)
    assert said_by(read_header(path), path) == expected


@pytest.mark.parametrize(
    ("notes", "tensors", "because"),
    [
        ({"modelspec.prediction_type": "v"}, {}, ("modelspec.prediction_type of the metadata",)),
        (
            {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"},
            {},
            ("ss_v_parameterization of the metadata", "ss_zero_terminal_snr of the metadata"),
        ),
        (
            {"modelspec.prediction_type": "epsilon"},
            {**MARK, "ztsnr": torch.zeros(0)},
            ("the tensor v_pred", "the tensor ztsnr"),
        ),
        ({}, {"global_step": torch.tensor(875_000)}, ("the tensor global_step",)),
        ({}, {}, ()),
    ],
)
def test_what_says_so_is_told(
    notes: dict[str, str], tensors: dict[str, torch.Tensor], because: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "any name.safetensors"
    save_file({"a": torch.zeros(1), **tensors}, path, notes or None)
    assert said_by(read_header(path), path).because == because


def test_what_a_person_says_beside_it_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1), **MARK}, path)
    says = said_by(read_header(path), path)
    assert said_beside(says, path) is says
    path.with_suffix(".sfumato.json").write_text('{"prediction_type": "epsilon", "zero_terminal_snr": true}')
    said = said_beside(says, path)
    assert said == Says(EPSILON, zero_snr=True)
    assert said.because == ("the tensor v_pred", "w.sfumato.json beside it")
