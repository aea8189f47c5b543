import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from sparse_models import LORA, write_sparse
from tiny_families import FAMILIES, write_family, write_original
from tiny_models import tiny_folder


@pytest.fixture
def ink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Path) -> Path:
    """A LoRA in a folder of models as A1111 has it."""
    root = tmp_path / "webui"
    notes = {
        "ss_tag_frequency": json.dumps({"a": {"sks frog": 9, "green": 3}}),
        "modelspec.license": "CC0-1.0",
        "modelspec.title": "Ink\x1b[31m\nred",
    }
    write_sparse(root / "models" / "Lora" / "ink.safetensors", LORA, notes)
    monkeypatch.setenv("SFUMATO_MODELS", str(root))
    return root / "models" / "Lora" / "ink.safetensors"


def test_info_says_what_a_file_is(sfumato: Any, ink: Path) -> None:
    ran = sfumato("models", "info", "ink")
    assert ran.code == 0
    assert "LoRA, kohya layout" in ran.out
    assert "Ink [31m red" in ran.out
    assert "\x1b" not in ran.out
    report = sfumato("models", "info", "ink", "--json").json
    assert (report["kind"], report["family"]) == ("LoRA", "sd1")
    assert report["parameters"] == 1 + 8 * 768 + 320 * 8
    assert len(report["sha256"]) == 64
    assert report["auto_v2"] == report["sha256"][:10]
    assert report["says"]["words"] == [{"word": "sks frog", "count": 9}, {"word": "green", "count": 3}]
    assert "\x1b" not in json.dumps(report, ensure_ascii=False)


def test_info_of_a_folder_has_its_digest(sfumato: Any) -> None:
    report = sfumato("models", "info", tiny_folder(), "--json").json
    assert (report["kind"], report["prediction_type"]) == ("diffusers folder", "v_prediction")
    assert len(report["digest"]) == 64


def test_info_says_what_drawing_takes(sfumato: Any, ink: Path) -> None:
    ran = sfumato("models", "info", tiny_folder())
    assert "draws 64x64 in about 0." in ran.out
    memory = sfumato("models", "info", tiny_folder(), "--json").json["memory"]
    assert (memory["width"], memory["height"], memory["device"]) == (64, 64, "cpu")
    assert memory["loaded"] <= memory["loading"]
    assert memory["loaded"] <= memory["drawing"]
    assert sfumato("models", "info", "ink", "--json").json["memory"] is None


def test_weights_that_are_no_numbers_are_named(sfumato: Any, here: Path) -> None:
    save_file({"a": np.zeros(3, np.float16), "b": np.array([1, np.nan], np.float32)}, here / "x.safetensors")
    ran = sfumato("models", "info", "x.safetensors", "--check")
    assert ran.code == 2
    assert ran.err.startswith("error: model: x.safetensors holds NaN or infinity in b (got 'x.safetensors').")
    assert sfumato("models", "info", "bundled", "--check").code == 0


def test_several_are_told_one_after_the_other(sfumato: Any, ink: Path) -> None:
    reports = sfumato("models", "info", "ink", "bundled", "--json").json
    assert [report["kind"] for report in reports] == ["LoRA", "diffusers folder"]
    assert sfumato("models", "info", "ink", ink).out.count("LoRA, kohya layout") == 2


def test_a_damaged_file_says_what_is_wrong(bad: Any, here: Path) -> None:
    (here / "a.safetensors").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    said = bad("models", "info", "a.safetensors")
    assert "a.safetensors is a git-lfs pointer, which stands for the file" in said
    assert "Run: git lfs pull" in said


def test_info_says_what_a_model_predicts_and_who_says_so(sfumato: Any, tmp_path: Path) -> None:
    tiny, marks = FAMILIES["tiny-sd"], {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    folder = write_family(tmp_path / "furry", tiny)
    path = write_original(folder, tmp_path / "furry.safetensors", tiny, extra=marks)
    predicts = "v_prediction, zero terminal SNR (as said by the tensor v_pred and the tensor ztsnr)"
    assert predicts in sfumato("models", "info", path).out
    assert sfumato("models", "info", path, "--json").json["because"] == [
        "the tensor v_pred",
        "the tensor ztsnr",
    ]
    path.with_suffix(".sfumato.json").write_text('{"prediction_type": "epsilon"}')
    assert "furry.sfumato.json beside it)" in sfumato("models", "info", path).out
    said = "v_prediction, zero terminal SNR (as said by scheduler/scheduler_config.json)"
    assert said in sfumato("models", "info", tiny_folder()).out


def test_the_list_has_words_and_licence(sfumato: Any, ink: Path) -> None:
    rows = {row["name"]: row for row in sfumato("models", "--json").json}
    assert (rows["ink"]["words"], rows["ink"]["licence"]) == (["sks frog", "green"], "CC0-1.0")
    assert rows["ink"]["hash"] is None  # nothing was read for it
    assert sfumato("models", "hash", "ink").code == 0
    assert {row["name"]: row for row in sfumato("models", "--json").json}["ink"]["hash"] is not None
