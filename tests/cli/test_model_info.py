import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sparse_models import LORA, write_sparse
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
