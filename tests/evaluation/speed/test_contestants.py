from pathlib import Path

import pytest

from sfumato.errors import InputError
from sfumato.evaluation.speed.contestants import DIFFUSERS, OURS, chosen, has_onnxruntime, has_torch
from sfumato.settings import Settings

SETTINGS = Settings(data_dir=Path("unused"))


def test_names() -> None:
    assert OURS[0].name == "sfumato openvino bfloat16"
    assert DIFFUSERS.name == "diffusers float32"


def test_settings_choose_among_them() -> None:
    assert chosen(SETTINGS) == OURS
    names = [one.name for one in chosen(SETTINGS.asked(precision="f32"))]
    assert names == ["sfumato openvino float32", "sfumato torch float32"]
    assert [one.name for one in chosen(SETTINGS.asked(backend="torch", precision="bf16"))] == [
        "sfumato torch bfloat16"
    ]


@pytest.mark.parametrize(("backend", "precision"), [("torch", "int8"), ("auto", "f16")])
def test_what_nobody_computes_in_is_refused(backend: str, precision: str) -> None:
    with pytest.raises(InputError, match="nothing that can be measured"):
        chosen(SETTINGS.asked(backend=backend, precision=precision))


def test_what_is_installed() -> None:
    assert has_torch()
    assert isinstance(has_onnxruntime(), bool)
