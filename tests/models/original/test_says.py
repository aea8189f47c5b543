"""What a file says of its training."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.models.original.says import Says, said_by
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
