import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from loopback_hub import serving
from sparse_models import LORA, write_sparse
from tiny_models import tiny_folder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Path) -> Path:
    """A folder of models as A1111 has it."""
    root = tmp_path / "webui"
    notes = {
        "ss_tag_frequency": json.dumps({"a": {"sks frog": 9, "green": 3}}),
        "modelspec.license": "CC0-1.0",
        "modelspec.title": "Ink\x1b[31m\nred",
    }
    write_sparse(root / "models" / "Lora" / "ink.safetensors", LORA, notes)
    (root / "models" / "ESRGAN").mkdir()
    (root / "models" / "ESRGAN" / "4x.pth").write_bytes(b"\x80\x04}.")
    monkeypatch.setenv("SFUMATO_MODELS", str(root))
    return root


def test_models_are_listed(sfumato: Any) -> None:
    lines = sfumato("models").out.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "FAMILY", "PICTURES", "SIZE", "LICENCE", "FOLDER"]
    assert lines[1].startswith("bundled ")
    assert [line.split()[:5] for line in lines if line.startswith("tiny ")] == [
        ["tiny", "diffusers", "folder", "-", "64x64"]
    ]
    (tiny,) = [model for model in sfumato("models", "--json").json if model["name"] == "tiny"]
    assert (tiny["folder"], tiny["problem"]) == (str(tiny_folder()), None)


def test_a_model_that_cannot_be_used_says_why(
    sfumato: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "model_index.json").write_text("{")
    monkeypatch.setenv("SFUMATO_MODELS", str(tmp_path / "models"))
    ran = sfumato("models")
    assert ran.code == 0
    assert "cannot be used: model: broken/model_index.json is not readable JSON" in ran.out


def test_what_goes_with_models_is_listed_too(sfumato: Any, library: Path) -> None:
    ran = sfumato("models")
    (ink,) = [line for line in ran.out.splitlines() if line.startswith("ink ")]
    assert ink.split()[:3] == ["ink", "LoRA", "sd1"]
    assert "sks frog, green" in ink
    assert "CC0-1.0" in ink
    assert "cannot be used: is a pickle" in ran.out
    (row,) = [row for row in sfumato("models", "--json").json if row["name"] == "ink"]
    assert (row["kind"], row["family"], row["hash"]) == ("LoRA", "sd1", None)
    assert (row["words"], row["licence"]) == (["sks frog", "green"], "CC0-1.0")
    assert row["compiled"] == []


def test_hashes_are_remembered_and_listed(sfumato: Any, library: Path) -> None:
    (row,) = sfumato("models", "hash", "ink", "--json").json
    assert row["auto_v2"] == row["sha256"][:10]
    assert row["auto_v3"] in sfumato("models").out
    everything = sfumato("models", "hash").out
    assert row["sha256"] in everything
    assert "unet/diffusion_pytorch_model.safetensors" in everything


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inof", "x"], "models: unknown action (got 'inof'). Did you mean info?"),
        (["info"], "info and pull need the name of a model"),
        (["info", "imk"], "there is nothing of this name (got 'imk'). Did you mean \"ink\"?"),
        (["info", "../../etc/passwd"], "there is nothing of this name"),
        (["info", "x" * 300], "there is nothing of this name"),
        (["hash", "4x"], "this file is a pickle"),
        (["pull"], "info and pull need the name of a model"),
        (["pull", "frogs"], "no name of a model on the hub (got 'frogs')"),
        (["pull", "frogs/green", "--offline"], "pulling needs the network (got 'frogs/green')"),
    ],
)
def test_what_makes_no_sense_is_one_line(bad: Any, library: Path, arguments: list[str], words: str) -> None:
    assert words in bad("models", *arguments)


def test_a_model_is_fetched_and_can_be_named(
    sfumato: Any, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        ink = (library / "models" / "Lora" / "ink.safetensors").read_bytes()
        hub.put("frogs/inks", {"blue.safetensors": ink, "README.md": b"#"})
        ran = sfumato("models", "pull", "frogs/inks")
        assert (ran.code, Path(ran.out.strip()).name) == (0, "blue.safetensors")
        assert sfumato("models", "pull", "frogs/inks", "--json").json == [ran.out.strip()]
        assert sfumato("models", "info", "blue", "--json").json["kind"] == "LoRA"
        before = len(hub.asked)
        monkeypatch.setenv("SFUMATO_OFFLINE", "1")
        assert sfumato("models", "pull", "frogs/inks").code == 2
        assert len(hub.asked) == before
