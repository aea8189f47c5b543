"""What a person says of a single file."""

import json
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.original.sidecar import Sidecar, read_sidecar, sidecar_path

MODEL = Path("models") / "a.b.safetensors"


def said(folder: Path, data: Any) -> Sidecar:
    path = folder / "model.safetensors"
    sidecar_path(path).write_text(data if isinstance(data, str) else json.dumps(data))
    return read_sidecar(path)


def test_it_lies_beside_the_file() -> None:
    assert sidecar_path(MODEL) == Path("models") / "a.b.sfumato.json"
    assert read_sidecar(MODEL) == Sidecar()
    assert not Sidecar().decides


def test_defaults_decide_nothing_and_the_rest_does(tmp_path: Path) -> None:
    assert not said(tmp_path, {"steps": 3}).decides
    sidecar = said(tmp_path, {"steps": 3, "prediction_type": "v_prediction", "unet": {"norm_eps": 1}})
    assert sidecar.defaults == {"steps": 3}
    assert sidecar.decides == {"prediction_type": "v_prediction", "unet": {"norm_eps": 1}}
    assert sidecar.over("unet", {"norm_eps": 2, "act_fn": "silu"}) == {"norm_eps": 1, "act_fn": "silu"}
    assert sidecar.over("vae", {"x": 1}) == {"x": 1}
    assert said(tmp_path, {"zero_terminal_snr": False}).decides == {"zero_terminal_snr": False}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "is not readable JSON"),
        ("[" * 100_000, "is not readable JSON"),
        ("[]", "must hold a JSON object"),
        ({"prediction_type": "noise"}, "unknown prediction_type, 'noise'"),
        ({"zero_terminal_snr": 1}, "true or false"),
        ({"vae": 3}, "must hold an object as vae"),
        (" " * (2**20 + 1), "far too large"),
    ],
)
def test_what_is_not_understood_is_refused(data: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=words) as caught:
        said(tmp_path, data)
    assert "model.sfumato.json" in str(caught.value)
    assert "\n" not in str(caught.value)
